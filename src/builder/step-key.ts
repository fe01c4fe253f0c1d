/**
 * The key of a step in the build cache: a digest of all that decides what it makes. The layers below are named by their
 * content, not by how they came to be: a step whose ground is the same again is known again.
 */
import { digestOf, type Digest } from '../engine/images/image.ts'

/** Raise it when steps come to mean something else. */
const VERSION = 3

type Plain =
  string | number | boolean | undefined | readonly Plain[] | { readonly [name: string]: Plain }

/** Keys sorted: the order in which an object was made is no part of it. */
function canonical(value: Plain): Plain {
  if (typeof value !== 'object') return value
  if (Array.isArray(value)) return (value as readonly Plain[]).map(canonical)
  const entries = Object.entries(value as Readonly<Record<string, Plain>>)
  const sorted = entries
    .filter(([, each]) => each !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(sorted.map(([name, each]) => [name, canonical(each)]))
}

export function stepKey(layers: readonly Digest[], step: Readonly<Record<string, Plain>>): Digest {
  return digestOf(JSON.stringify([VERSION, layers, canonical(step)]))
}
