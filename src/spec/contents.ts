/** What configs and secrets hold: read for the services that are wanted, as base64, within bounds. */
import type { StackContents } from './loaded-stack.ts'
import type { Model, Plain } from './model.ts'
import { mapIn, recordsIn, textIn } from './model.ts'
import type { MapNode } from './node.ts'
import { locate } from './node.ts'
import type { Session } from './session.ts'
import { NO_SUCH_FILE, readBytes } from './session.ts'
import type { Lookup } from './source.ts'

const MAX_BYTES = 1 << 20
const CREATE = 'create it, or name another source'

export interface ContentsOptions {
  readonly root: MapNode
  readonly session: Session
  readonly lookup: Lookup
}

/** The content of each config and secret that a service of the model mounts; what cannot be read is told. */
export function readContents(model: Model, options: ContentsOptions): StackContents {
  return {
    configs: contentsOf('configs', model, options),
    secrets: contentsOf('secrets', model, options),
  }
}

function contentsOf(
  kind: 'configs' | 'secrets',
  model: Model,
  options: ContentsOptions,
): Record<string, string> {
  const contents: Record<string, string> = {}
  for (const service of Object.values(model.services)) {
    for (const reference of recordsIn(service, kind)) {
      const key = textIn(reference, 'source')
      const definition = Object.hasOwn(model[kind], key) ? model[kind][key] : undefined
      if (definition === undefined || definition === null || Object.hasOwn(contents, key)) continue
      const bytes = bytesOf(definition, [kind, key], options)
      if (bytes !== undefined) contents[key] = Buffer.from(bytes).toString('base64')
    }
  }
  return kind === 'secrets' ? { ...buildSecrets(model, options), ...contents } : contents
}

/** Those of builds; one that can't be read is missed only where a step requires it. */
function buildSecrets(model: Model, { session, lookup }: ContentsOptions): Record<string, string> {
  const contents: Record<string, string> = {}
  const services = Object.values(model.services)
  for (const reference of services.flatMap((each) => recordsIn(mapIn(each, 'build'), 'secrets'))) {
    const key = textIn(reference, 'source')
    const definition = Object.hasOwn(model.secrets, key) ? model.secrets[key] : undefined
    const found =
      definition === undefined || definition === null
        ? undefined
        : sourceBytes(definition, session, lookup)
    if (found instanceof Uint8Array && found.length <= MAX_BYTES)
      contents[key] = Buffer.from(found).toString('base64')
  }
  return contents
}

/** A text says why there are none; undefined: the definition names no source. */
function sourceBytes(
  definition: Plain,
  session: Session,
  lookup: Lookup,
): Uint8Array | string | undefined {
  const variable = textIn(definition, 'environment')
  const file = textIn(definition, 'file')
  if (typeof definition['content'] === 'string') return Buffer.from(definition['content'])
  if (variable !== '') return environmentBytes(variable, lookup)
  return file === '' ? undefined : readBytes(session.fs, file)
}

function bytesOf(
  definition: Plain,
  path: readonly [string, string],
  { root, session, lookup }: ContentsOptions,
): Uint8Array | undefined {
  const [kind, key] = path
  const place = locate(root, path)
  const tell = (message: string, expected: string, suggestion: string): void => {
    const text = `cannot read ${kind}.${key}: ${message}`
    session.diagnostics.error(place, text, { path, expected, suggestion })
  }
  if (definition['external'] === true) return undefined
  const variable = textIn(definition, 'environment')
  const found = sourceBytes(definition, session, lookup)
  if (typeof found === 'string') {
    if (variable !== '') tell(found, 'the variable to be set', CREATE)
    else if (found === NO_SUCH_FILE) tell(found, 'a file that is there', CREATE)
    else tell(found, 'a file that can be read', 'see to that, or name another source')
    return undefined
  }
  if (found !== undefined && found.length > MAX_BYTES) {
    tell('it is larger than 1 MiB', 'at most 1 MiB', 'name another source')
    return undefined
  }
  return found
}

function environmentBytes(variable: string, lookup: Lookup): Uint8Array | string {
  const value = lookup(variable)
  return value === undefined ? `environment variable "${variable}" is not set` : Buffer.from(value)
}
