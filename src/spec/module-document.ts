/**
 * A module's default export -> a tree, as if it had been read from YAML. Its nodes have no lines: each knows its path in
 * the value, by its offset.
 */
import type { Entry, Node } from './node.ts'
import { formatPath } from './node.ts'
import type { Session } from './session.ts'
import type { Source } from './source.ts'

const MAX_DEPTH = 200
const MAX_NODES = 2_000_000

interface ModuleDocument {
  readonly source: Source
  readonly document: Node
}

/** The document of a module, whose source has no text; none when it can't be had, which is told. */
export function readModule(module: Source, session: Session): ModuleDocument[] {
  const { diagnostics, fetched, lacking } = session
  const { file, origin } = module
  if (origin !== undefined) {
    const verb = origin.verb === 'included' ? 'include' : 'extend'
    diagnostics.error(origin, `cannot ${verb} ${file}: it is a program`, {
      expected: 'a YAML file; programs are only evaluated when the command line names them',
      suggestion: `import it in a stack.ts, or write what "tsstack -f ${file} config" prints into a file`,
    })
    return []
  }
  const result = fetched?.modules.get(file)
  if (result === undefined) {
    if (fetched !== undefined) lacking.modules.add(file)
    else diagnostics.error(undefined, `cannot read ${file}: programs are not evaluated here`)
    return []
  }
  if (!('value' in result)) {
    diagnostics.failure(file, result)
    return []
  }
  const paths: (string | number)[][] = []
  const source = { ...module, paths }
  const problem = { told: false }
  const document = toNode(result.value, [], { source, paths, session, open: new Set(), problem })
  return problem.told ? [] : [{ source, document }]
}

interface Conversion {
  readonly source: Source
  readonly paths: (string | number)[][]
  readonly session: Session
  /** Objects around the one that is converted. */
  readonly open: Set<object>
  readonly problem: { told: boolean }
}

function toNode(value: unknown, path: (string | number)[], conversion: Conversion): Node {
  const { source, paths } = conversion
  const offset = paths.push(path) - 1
  const scalar = (text: string | number | boolean | null): Node => ({
    kind: 'scalar',
    source,
    offset,
    value: text,
  })
  if (value === null || typeof value === 'string' || typeof value === 'boolean')
    return scalar(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) refuse(offset, `${String(value)} is no number of YAML`, conversion)
    return scalar(value)
  }
  if (typeof value !== 'object') {
    refuse(offset, `a ${typeof value} can't stand in a stack`, conversion)
    return scalar(null)
  }
  const { open } = conversion
  if (open.has(value) || path.length > MAX_DEPTH || paths.length > MAX_NODES) {
    const why = open.has(value) ? 'the value contains itself' : 'the value is too large'
    refuse(offset, why, conversion)
    return scalar(null)
  }
  open.add(value)
  const node = Array.isArray(value)
    ? toList(value as unknown[], { path, offset, conversion })
    : toMap(value, { path, offset, conversion })
  open.delete(value)
  return node
}

interface Within {
  readonly path: (string | number)[]
  readonly offset: number
  readonly conversion: Conversion
}

function toList(values: readonly unknown[], { path, offset, conversion }: Within): Node {
  const items = Array.from(values, (item, index) =>
    toNode(item === undefined ? null : item, [...path, index], conversion),
  )
  return { kind: 'list', source: conversion.source, offset, items }
}

/** A property without value is none, as in JSON. */
function toMap(value: object, { path, offset, conversion }: Within): Node {
  const { source, paths } = conversion
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && !isPlain(value)) {
    refuse(offset, `a ${value.constructor.name} can't stand in a stack`, conversion)
  }
  const entries = new Map<string, Entry>()
  for (const [key, inner] of Object.entries(value)) {
    if (inner === undefined) continue
    const at = paths.length
    entries.set(key, { source, offset: at, value: toNode(inner, [...path, key], conversion) })
  }
  return { kind: 'map', source, offset, entries }
}

/** An object of this realm or another one. */
function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function refuse(offset: number, message: string, conversion: Conversion): void {
  const { source, session, problem, paths } = conversion
  problem.told = true
  const path = paths[offset] ?? []
  const where = path.length === 0 ? 'the default export' : formatPath(path)
  session.diagnostics.error({ source, offset }, `${where}: ${message}`, {
    path,
    expected: 'text, numbers, true, false, null, arrays and plain objects',
    suggestion: 'write it as one of these',
  })
}
