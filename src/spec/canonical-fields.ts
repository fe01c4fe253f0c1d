/**
 * The small converters that the canonical form is put together from: each takes a node that the schema allows and gives
 * the plain value of the canonical model, or undefined for what the model leaves out (as Go's `omitempty` does).
 */
import { tryParseBytes } from './bytes.ts'
import { formatDuration, tryParseDurationNs } from './duration.ts'
import { asPairs } from './merge.ts'
import type { MapNode, Node, Path, Place } from './node.ts'
import { formatPath, scalarText, setOwn, toPlain } from './node.ts'
import { resolvePath } from './posix-path.ts'
import type { Session } from './session.ts'
import { splitShellWords } from './shell-words.ts'

/** Where a converter is: the loading, and the path within the model. */
export interface At {
  readonly session: Session
  readonly path: Path
}

export type Convert = (node: Node, at: At) => unknown

/** One level deeper. */
export function under(at: At, key: string | number): At {
  return { session: at.session, path: [...at.path, key] }
}

/** What may stand there, and what to write. */
export interface Advice {
  readonly expected: string
  readonly suggestion: string
}

/** Tells of a value that cannot be read; gives nothing, for a converter to return. */
export function reject(
  node: Place,
  at: At,
  message: string,
  advice: Advice,
): Record<string, unknown> | undefined {
  const path = formatPath(at.path)
  at.session.diagnostics.error(node, `${path}: ${message}`, { path: at.path, ...advice })
  return undefined
}

const NUMBER: Advice = { expected: 'a number', suggestion: 'write digits, without a unit' }
const BYTES: Advice = {
  expected: 'a byte size such as 512m or 1.5g',
  suggestion: 'write a number and one of the units b, k, m, g, t, p',
}
const DURATION: Advice = {
  expected: 'a duration such as 30s or 1m30s',
  suggestion: 'write a number and one of the units ns, us, ms, s, m, h, d, w',
}
const COMMAND: Advice = {
  expected: 'every quote closed, and no backslash at the end',
  suggestion: 'write the command as a list: ["sh", "-c", "…"]',
}
const VARIABLE: Advice = { expected: 'a name', suggestion: 'remove the spaces around the name' }

/** Text, empty text too: it keeps a default from being filled in. */
export const asWritten: Convert = (node) => (node.kind === 'scalar' ? scalarText(node) : undefined)

/** Text; empty text is left out. */
export const asText: Convert = (node) => {
  const text = node.kind === 'scalar' ? scalarText(node) : undefined
  return text === '' ? undefined : text
}

/** A boolean where false is the same as nothing. */
export const asFlag: Convert = (node) => (isTrue(node) ? true : undefined)

/** A boolean where false says something. */
export const asSetFlag: Convert = (node) =>
  node.kind === 'scalar' && node.value === null ? undefined : isTrue(node)

function isTrue(node: Node): boolean {
  if (node.kind !== 'scalar') return false
  return (
    node.value === true ||
    (typeof node.value === 'string' && /^(?:true|yes|y|on|1)$/i.test(node.value))
  )
}

/** A number, 0 included. */
export const asNumber: Convert = (node, at) => {
  if (node.kind !== 'scalar' || node.value === null) return undefined
  if (typeof node.value === 'number') return node.value
  const text = scalarText(node)
  if (!at.session.interpolate && text.includes('$')) return text
  const value = text.trim() === '' ? NaN : Number(text)
  return Number.isFinite(value) ? value : reject(node, at, `"${text}" is not a number`, NUMBER)
}

/** A number where 0 is the same as nothing. */
export const asNonZero: Convert = (node, at) => {
  const value = asNumber(node, at)
  return value === 0 ? undefined : value
}

/** A byte size as decimal text; 0 is left out. */
export const asBytes: Convert = (node, at) => {
  if (node.kind !== 'scalar' || node.value === null) return undefined
  const text = scalarText(node)
  if (!at.session.interpolate && text.includes('$')) return text
  const bytes = typeof node.value === 'number' ? Math.trunc(node.value) : tryParseBytes(text)
  if (bytes === undefined) {
    return reject(node, at, `invalid size: '${text}'`, BYTES)
  }
  return bytes === 0 ? undefined : String(bytes)
}

/** A duration as Go prints it. */
export const asDuration: Convert = (node, at) => {
  if (node.kind !== 'scalar' || node.value === null) return undefined
  const text = scalarText(node)
  if (!at.session.interpolate && text.includes('$')) return text
  const nanos = tryParseDurationNs(text)
  if (nanos === undefined) {
    return reject(node, at, `invalid duration: "${text}"`, DURATION)
  }
  return formatDuration(nanos)
}

/** A duration where none is the same as nothing. */
export const asNonZeroDuration: Convert = (node, at) => {
  const value = asDuration(node, at)
  return value === '0s' ? undefined : value
}

/** A list of texts. */
export const asTexts: Convert = (node) => textsOf(node)

/** A list of texts without repetitions, a single text being a list of itself. */
export const asUniqueTexts: Convert = (node) => [...new Set(textsOf(node))]

/** As `asUniqueTexts`, empty ones left out. */
export const asNonEmptyTexts: Convert = (node) =>
  [...new Set(textsOf(node))].filter((text) => text !== '')

/** The texts of a list, or of a text as a list of itself. */
export function textsOf(node: Node): string[] {
  if (node.kind === 'list')
    return node.items.flatMap((item) => (item.kind === 'scalar' ? [scalarText(item)] : []))
  return node.kind === 'scalar' && node.value !== null ? [scalarText(node)] : []
}

/** A command: text is split into words, null is the image's. */
export const asCommand: Convert = (node, at) => {
  if (node.kind === 'list') return textsOf(node)
  if (node.kind !== 'scalar' || node.value === null) return undefined
  const words = splitShellWords(scalarText(node))
  return words ?? reject(node, at, 'invalid command line string', COMMAND)
}

/** `K=V` list or map -> map of texts; a key without value has the empty text. */
export const asTextMap: Convert = (node) => unlessEmpty(textMap(node, () => ''))

/** As `asTextMap`, but a key without value is null. */
export const asNullableTextMap: Convert = (node) => unlessEmpty(textMap(node, () => null))

/** Environment: a key without value takes that of the project environment, null when it has none. */
export const asEnvironment: Convert = (node, at) => {
  const map = textMap(node, (key, place) =>
    at.session.resolveEnvironment ? (place.source.lookup(key) ?? null) : null,
  )
  for (const key of Object.keys(map)) {
    if (key.trim() === key && key !== '') continue
    reject(
      node,
      at,
      `environment variable "${key}" must not have leading or trailing spaces`,
      VARIABLE,
    )
  }
  return unlessEmpty(map)
}

/** Build arguments: as environment, those that are not set left out. */
export const asArguments: Convert = (node, at) => {
  const map = textMap(node, (key, place) =>
    at.session.resolveEnvironment ? place.source.lookup(key) : null,
  )
  return unlessEmpty(
    Object.fromEntries(Object.entries(map).filter(([, value]) => value !== undefined)),
  )
}

function unlessEmpty<T extends object>(map: T): T | undefined {
  return Object.keys(map).length === 0 ? undefined : map
}

function textMap<T>(
  node: Node,
  missing: (key: string, place: Place) => T,
): Record<string, string | T> {
  const pairs = asPairs(node)
  const map: Record<string, string | T> = {}
  if (pairs.kind !== 'map') return map
  for (const [key, entry] of pairs.entries) {
    const { value } = entry
    const isMissing = value.kind !== 'scalar' || value.value === null
    setOwn(map, key, isMissing ? missing(key, entry) : scalarText(value))
  }
  return map
}

/** A path made absolute against where it was written. */
export const asPath: Convert = (node, at) => {
  const text = asText(node, at)
  return typeof text === 'string' ? pathOf(node, text, at) : undefined
}

/** A path that stands in a node, made absolute unless paths are to stay. */
export function pathOf(node: Node, path: string, at: At): string {
  const { resolvePaths, home } = at.session
  return resolvePaths ? resolvePath(path, node.source.directory, home) : path
}

/** Each item of a list. */
export function listOf(convert: Convert): Convert {
  return (node, at) => {
    if (node.kind !== 'list') return undefined
    return node.items.flatMap((item, index) => {
      const value = convert(item, under(at, index))
      return value === undefined ? [] : [value]
    })
  }
}

/** Each value of a map whose keys are the user's. */
export function mapOf(convert: Convert): Convert {
  return (node, at) => {
    if (node.kind !== 'map') return undefined
    const map: Record<string, unknown> = {}
    for (const [key, { value }] of node.entries) {
      const converted = convert(value, under(at, key))
      if (converted !== undefined) setOwn(map, key, converted)
    }
    return map
  }
}

export type Fields = Readonly<Record<string, Convert>>

/** A map whose keys are the specification's; others (`x-*`) stay as they are. */
export function recordOf(fields: Fields): Convert {
  return (node, at) => (node.kind === 'map' ? recordFrom(node, fields, at) : undefined)
}

/** As `recordOf()`, for a node that is known to be a map. */
export function recordFrom(node: MapNode, fields: Fields, at: At): Record<string, unknown> {
  const record: Record<string, unknown> = {}
  for (const [key, { value }] of node.entries) {
    const convert = Object.hasOwn(fields, key) ? fields[key] : undefined
    const converted = convert === undefined ? toPlain(value) : convert(value, under(at, key))
    if (converted !== undefined && (convert === undefined || !isAbsent(value)))
      setOwn(record, key, converted)
  }
  return record
}

function isAbsent(node: Node): boolean {
  return node.kind === 'scalar' && node.value === null
}
