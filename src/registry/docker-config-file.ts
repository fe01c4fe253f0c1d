/** Docker's `config.json`: where it is, reading it, and writing it so that nobody reads half of it. */
import { randomUUID } from 'node:crypto'
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { TsstackError } from '../errors.ts'

export type Environment = Readonly<Record<string, string | undefined>>
export type Json = Record<string, unknown>

export interface DockerConfig {
  readonly file: string
  readonly document: Json
}

/**
 * Of `DOCKER_CONFIG`, or of the home directory; empty when there is none.
 * @throws {PERMISSION_DENIED} {INVALID_ARGUMENT} it is not JSON
 */
export function readConfig(env: Environment): DockerConfig {
  const directory = env['DOCKER_CONFIG'] ?? ''
  const home = env['HOME'] ?? homedir()
  const file = path.join(directory === '' ? path.join(home, '.docker') : directory, 'config.json')
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { file, document: {} }
    throw new TsstackError('PERMISSION_DENIED', `Cannot read "${file}": permission denied`, {
      cause: error,
    })
  }
  try {
    const document: unknown = JSON.parse(text)
    if (typeof document === 'object' && document !== null && !Array.isArray(document))
      return { file, document: document as Json }
  } catch (cause) {
    throw new TsstackError('INVALID_ARGUMENT', `Cannot read "${file}": it is not JSON`, { cause })
  }
  throw new TsstackError('INVALID_ARGUMENT', `Cannot read "${file}": it is not an object`)
}

/** Beside it and renamed over it; a link is followed, since people keep theirs elsewhere. */
export function writeConfig({ file, document }: DockerConfig): void {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
  let target = file
  try {
    target = realpathSync(file)
  } catch {
    // There is none yet.
  }
  const draft = `${target}.${randomUUID()}.tmp`
  writeFileSync(draft, `${JSON.stringify(document, null, '\t')}\n`, { mode: 0o600 })
  chmodSync(draft, 0o600)
  renameSync(draft, target)
}

/**
 * How people want listings to look: `psFormat`, `imagesFormat` and their like of config.json.
 * @throws as readConfig
 */
export function readListingFormat(env: Environment, name: string): string | undefined {
  const format = readConfig(env).document[name]
  return typeof format === 'string' && format !== '' ? format : undefined
}
