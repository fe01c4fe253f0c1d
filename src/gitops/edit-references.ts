/**
 * Puts other image references in the place of those in a stack file. Only the characters of references change: comments,
 * order, quotes and line ends stay, because the text is not written anew. Pure.
 */
import { parseAllDocuments, Scalar, visit } from 'yaml'
import { TsstackError } from '../errors.ts'

/** Where a reference is written, and what is to stand there. */
export interface ReferenceEdit {
  /** Both from 1; of the value. */
  readonly line: number
  readonly column: number
  readonly from: string
  readonly to: string
}

const QUOTES: ReadonlyMap<string, string> = new Map<string, string>([
  [Scalar.PLAIN, ''],
  [Scalar.QUOTE_SINGLE, "'"],
  [Scalar.QUOTE_DOUBLE, '"'],
])

/** It is read on the thread that does the daemon's work. */
const MAX_LENGTH = 2 << 20

/**
 * @param text - of a YAML file
 * @throws {FAILED_PRECONDITION} what stands there is not the reference as such: a variable, an alias, a folded text; or the
 *   file is too large
 */
export function editReferences(text: string, edits: readonly ReferenceEdit[]): string {
  if (text.length > MAX_LENGTH)
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot change a file of more than ${String(MAX_LENGTH >> 20)} MiB`,
    )
  const lines = lineStarts(text)
  const placed = edits.map((edit) => ({
    ...edit,
    offset: (lines[edit.line - 1] ?? text.length) + edit.column - 1,
  }))
  const scalars = scalarsAt(text, new Set(placed.map(({ offset }) => offset)))
  let edited = text
  // From the end to the start: what comes before stays where it is.
  for (const { offset, line, from, to } of placed.toSorted((a, b) => b.offset - a.offset)) {
    const scalar = scalars.get(offset)
    const quote = QUOTES.get(scalar?.type ?? '')
    if (scalar?.value !== from || quote === undefined || scalar.anchor !== undefined)
      throw new TsstackError(
        'FAILED_PRECONDITION',
        `Cannot change "${from}" (line ${String(line)}): it is not written out there`,
        { hint: 'Write image: as plain text, without variables, anchors and aliases' },
      )
    const [start, end] = scalar.range ?? [offset, offset]
    edited = `${edited.slice(0, start)}${quote}${to}${quote}${edited.slice(end)}`
  }
  return edited
}

/** Where each line begins. */
function lineStarts(text: string): readonly number[] {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return starts
}

/** The values that begin at these places. */
function scalarsAt(text: string, offsets: ReadonlySet<number>): ReadonlyMap<number, Scalar> {
  const found = new Map<number, Scalar>()
  for (const document of parseAllDocuments(text)) {
    if (!('contents' in document)) continue
    visit(document, {
      Scalar: (_, node) => {
        const offset = node.range?.[0]
        if (offset !== undefined && offsets.has(offset)) found.set(offset, node)
      },
    })
  }
  return found
}
