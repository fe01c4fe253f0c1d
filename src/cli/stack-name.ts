/**
 * The name of the stack that a command is about, for commands that need nothing else of the stack file. Most files say
 * it in one plain line or not at all, and then reading it costs no YAML parser and no schema; all else is loaded in full.
 */
import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import type { CommandContext } from './command.ts'

/** Names that are looked for, in order; a test holds them against the loader's. */
const DEFAULT_FILES = [
  'stack.yaml',
  'stack.yml',
  'compose.yaml',
  'compose.yml',
  'docker-compose.yml',
  'docker-compose.yaml',
  'stack.ts',
]
const OVERRIDES = [
  'stack.override.yaml',
  'stack.override.yml',
  'compose.override.yml',
  'compose.override.yaml',
  'docker-compose.override.yml',
  'docker-compose.override.yaml',
]

/** Docker Compose's form of a directory's name: lower case, `[a-z0-9_-]`, not beginning with `_` or `-`. */
export function normalizeName(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^-_a-z0-9]/g, '')
    .replace(/^[_-]+/, '')
}

/** What one file says in plain sight: a name, none, or something that only the full loader can tell. */
export type PlainName =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'none' }
  | { readonly kind: 'unclear' }

const NAME_LINE = /^name:[ \t]+([a-z0-9][a-z0-9_-]*)[ \t]*(?:#.*)?$/

/** Reads the top-level `name:` of a stack file without parsing YAML. */
export function plainName(text: string): PlainName {
  let found: PlainName = { kind: 'none' }
  let afterName = false
  for (const line of text.split('\n')) {
    const trimmed = line.trimEnd()
    if (trimmed === '' || trimmed.startsWith('#')) continue
    // An indented line may go on with the name.
    if (/^[ \t]/.test(trimmed) && afterName) return { kind: 'unclear' }
    afterName = false
    if (/^[ \t]/.test(trimmed)) continue
    // A flow mapping, quotes, an explicit key, a merge, a directive or a document mark at top level.
    if (/^(?:[{"'?&*!%<\ufeff]|---|\.\.\.)/.test(trimmed)) return { kind: 'unclear' }
    if (!/^name\s*:/.test(trimmed)) continue
    const name = NAME_LINE.exec(trimmed)?.[1]
    if (name === undefined || found.kind === 'name') return { kind: 'unclear' }
    found = { kind: 'name', name }
    afterName = true
  }
  return found
}

/** The stack files that the current directory or one above it offers. */
function findDefaultFiles(from: string): readonly string[] {
  let directory = from
  for (;;) {
    const here = directory
    const file = DEFAULT_FILES.map((name) => resolve(here, name)).find((path) => existsSync(path))
    if (file !== undefined) {
      const override = OVERRIDES.map((name) => resolve(here, name)).find((path) => existsSync(path))
      return override === undefined ? [file] : [file, override]
    }
    const parent = dirname(directory)
    if (parent === directory) return []
    directory = parent
  }
}

/** Programs and remote files. */
const NOT_PLAIN = /\.[cm]?[jt]s$|^[a-z]+:\/\/|^[^/]+@|^github\.com\//

/** @returns undefined when only the full loader can tell */
export function quickName(
  context: Pick<CommandContext, 'global' | 'env' | 'cwd'>,
): string | undefined {
  const { global, env, cwd } = context
  const files =
    global.files.length > 0 ? global.files.map((file) => resolve(cwd, file)) : findDefaultFiles(cwd)
  const first = files[0]
  if (
    first === undefined ||
    global.files.includes('-') ||
    [...files, ...global.files].some((file) => NOT_PLAIN.test(file)) ||
    env['COMPOSE_FILE'] !== undefined ||
    global.envFiles.length > 0
  )
    return undefined
  const directory = resolve(cwd, global.projectDirectory ?? dirname(first))
  // .env may set COMPOSE_PROJECT_NAME or COMPOSE_FILE.
  if (existsSync(resolve(directory, '.env')) || existsSync(resolve(cwd, '.env'))) return undefined
  let name: string | undefined
  for (const file of files) {
    const plain = plainName(readFileSync(file, 'utf8'))
    if (plain.kind === 'unclear') return undefined
    if (plain.kind === 'name') name = plain.name
  }
  return name ?? (normalizeName(basename(directory)) || undefined)
}

/**
 * `-p`, else COMPOSE_PROJECT_NAME, else what the stack files say.
 * @throws {NOT_FOUND} when there is neither a name nor a stack file, and what the loader throws
 */
export async function resolveStackName(context: CommandContext): Promise<string> {
  const given = context.global.projectName ?? context.env['COMPOSE_PROJECT_NAME']
  if (given !== undefined && given !== '') return given.toLowerCase()
  try {
    const name = quickName(context)
    if (name !== undefined) return name
  } catch {
    // Unreadable files are the loader's to explain.
  }
  const { loadSource } = await import('./stack-source.ts')
  return (await loadSource(context)).stack.name
}
