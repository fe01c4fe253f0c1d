/** A source: one text that was read, and what decides how the nodes that come from it are understood. */

/** Looks a variable up in the project environment; undefined when it is not set. */
export type Lookup = (name: string) => string | undefined

export interface Source {
  /** Absolute path, or `-` for standard input. */
  readonly file: string
  readonly text: string
  /** Absolute; relative paths written in this source are relative to it. */
  readonly directory: string
  /** The environment that this source is interpolated with. */
  readonly lookup: Lookup
  /** How this source was reached: the `include` or `extends` that named it. */
  readonly origin?: Origin
  /** Of a source that is a value and no text: what its offsets stand for. */
  readonly paths?: readonly (readonly (string | number)[])[]
}

/** One link of the chain through which a source came in. */
export interface Origin {
  readonly verb: 'included' | 'extended'
  readonly source: Source
  readonly offset: number
}

export interface Position {
  /** From 1. */
  readonly line: number
  /** From 1, in UTF-16 units. */
  readonly column: number
}

const lineStarts = new WeakMap<Source, readonly number[]>()

function lineStartsOf(source: Source): readonly number[] {
  const known = lineStarts.get(source)
  if (known !== undefined) return known
  const starts = [0]
  for (let at = source.text.indexOf('\n'); at !== -1; at = source.text.indexOf('\n', at + 1)) {
    starts.push(at + 1)
  }
  lineStarts.set(source, starts)
  return starts
}

/** Line and column of an offset. The first call for a source reads all of it, later ones search. */
export function positionOf(source: Source, offset: number): Position {
  const starts = lineStartsOf(source)
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((starts[middle] ?? 0) <= offset) low = middle
    else high = middle - 1
  }
  return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 }
}
