/**
 * `env_file` and `label_file`: read last, and only for services that are wanted. `environment` and `labels` win over
 * them, a later file over an earlier one.
 */
import { DotenvError, parseDotenv, parseRawEnvironment } from './dotenv.ts'
import type { Model, Plain } from './model.ts'
import { mapIn, recordsIn, textIn, textsIn } from './model.ts'
import type { MapNode, Path, Place } from './node.ts'
import { locate } from './node.ts'
import type { Session } from './session.ts'
import { readText } from './session.ts'
import type { Lookup } from './source.ts'

export interface ServiceFilesOptions {
  readonly root: MapNode
  readonly session: Session
  readonly lookup: Lookup
}

/** The model with its environment and label files read into it. */
export function resolveServiceFiles(model: Model, options: ServiceFilesOptions): Model {
  const services: Record<string, Plain> = {}
  for (const [name, service] of Object.entries(model.services)) {
    services[name] = {
      ...withoutKeys(service, ['env_file', 'label_file']),
      ...withEnvFiles(name, service, options),
      ...withLabelFiles(name, service, options),
    }
  }
  return { ...model, services }
}

function withoutKeys(service: Plain, keys: readonly string[]): Plain {
  return Object.fromEntries(Object.entries(service).filter(([key]) => !keys.includes(key)))
}

function withEnvFiles(name: string, service: Plain, options: ServiceFilesOptions): Plain {
  const files = recordsIn(service, 'env_file')
  if (files.length === 0) return {}
  const own = mapIn(service, 'environment')
  const environment: Plain = {}
  const lookup: Lookup = (key) =>
    options.lookup(key) ?? textOrUndefined(own[key]) ?? textOrUndefined(environment[key])
  for (const [index, file] of files.entries()) {
    const path: Path = ['services', name, 'env_file', index]
    const read = { path, file, lookup, options }
    for (const [key, value] of envFileValues(read)) environment[key] = value
  }
  const all = { ...environment, ...own }
  return Object.keys(all).length === 0 ? {} : { environment: all }
}

function textOrUndefined(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

interface EnvFileRead {
  readonly path: Path
  readonly file: Plain
  readonly lookup: Lookup
  readonly options: ServiceFilesOptions
}

function envFileValues({
  path,
  file,
  lookup,
  options,
}: EnvFileRead): Iterable<readonly [string, string]> {
  const { session, root } = options
  const place = locate(root, path)
  const name = textIn(file, 'path')
  const format = textIn(file, 'format')
  if (format !== '' && format !== 'raw') {
    session.diagnostics.error(place, `unsupported env_file format "${format}"`, {
      path,
      expected: 'raw, or no format',
      suggestion: 'remove format, or write format: raw',
    })
    return []
  }
  if (!session.fs.exists(name)) {
    if (file['required'] === false) return []
    session.diagnostics.error(place, `env file ${name} not found: no such file or directory`, {
      path,
      expected: 'the path of a file that is there',
      suggestion: 'create it, or write required: false beside its path',
    })
    return []
  }
  const parse = format === 'raw' ? parseRawEnvironment : parseDotenv
  return parseFile(name, { place, session, parse: (text) => parse(text, lookup) })
}

function withLabelFiles(name: string, service: Plain, options: ServiceFilesOptions): Plain {
  const files = textsIn(service, 'label_file')
  if (files.length === 0) return {}
  const { session, root } = options
  const labels: Plain = {}
  for (const [index, file] of files.entries()) {
    const place = locate(root, ['services', name, 'label_file', index])
    const parse = (text: string): Map<string, string> => parseDotenv(text, () => undefined)
    for (const [key, value] of parseFile(file, { place, session, parse })) labels[key] = value
  }
  return { labels: { ...labels, ...mapIn(service, 'labels') } }
}

interface FileParse {
  readonly place: Place
  readonly session: Session
  readonly parse: (text: string) => ReadonlyMap<string, string>
}

function parseFile(
  file: string,
  { place, session, parse }: FileParse,
): ReadonlyMap<string, string> {
  const text = readText(session, file, place)
  if (text === undefined) return new Map()
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof DotenvError)) throw error
    const source = { ...place.source, file, text, origin: { verb: 'included', ...place } as const }
    const isSecret = session.fs.isSecret?.(file) === true
    const said = isSecret ? `line ${String(error.line)} is no NAME=value` : error.message
    session.diagnostics.error({ source, offset: error.offset }, `failed to read ${file}: ${said}`)
    return new Map()
  }
}
