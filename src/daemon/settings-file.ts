/**
 * The settings file, `/etc/tsstack/daemon.env` or what TSSTACK_SETTINGS names: what the environment sets can be set here,
 * too, and is read again on SIGHUP. Lines of `NAME=value`, as systemd's EnvironmentFile has them (man 5 systemd.exec).
 * What the environment has goes before.
 */
import { readFileSync } from 'node:fs'
import { TsstackError } from '../errors.ts'

const DEFAULT_FILE = '/etc/tsstack/daemon.env'
/** Clients have to know these, too, and they don't read the file. */
const OF_CLIENTS = ['TSSTACK_STATE_DIR', 'TSSTACK_RUN_DIR', 'TSSTACK_HOST']
const LINE = /^([A-Za-z_][A-Za-z0-9_]*)=(?:"([^"]*)"|'([^']*)'|(.*))$/

/**
 * The environment with what the file adds to it.
 * @throws {INVALID_ARGUMENT} with file and line, {NOT_FOUND} when a file that was named is not there
 */
export function withSettingsFile(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const named = environment['TSSTACK_SETTINGS']
  const file = named === undefined || named === '' ? DEFAULT_FILE : named
  const text = readText(file, file === DEFAULT_FILE)
  return { ...parseSettings(text, file), ...environment }
}

/** @param isOptional nothing is read where there is none */
function readText(file: string, isOptional: boolean): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (isOptional && (error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw new TsstackError('NOT_FOUND', `Cannot read the settings "${file}"`, { cause: error })
  }
}

/** @throws {INVALID_ARGUMENT} */
export function parseSettings(text: string, file: string): Record<string, string> {
  const settings: Record<string, string> = {}
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue
    const where = `${file}:${index + 1}`
    const [, name = '', double, single, plain] = LINE.exec(line) ?? []
    if (name === '')
      throw new TsstackError('INVALID_ARGUMENT', `Cannot read ${where}: expected NAME=value`)
    if (OF_CLIENTS.includes(name))
      throw new TsstackError('INVALID_ARGUMENT', `Cannot set ${name} in ${where}`, {
        hint: 'Clients need it, too: set it in the environment of both',
      })
    settings[name] = double ?? single ?? plain?.trim() ?? ''
  }
  return settings
}
