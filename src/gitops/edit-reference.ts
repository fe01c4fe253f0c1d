/**
 * Puts another image reference in the place of one in a stack file. Only the characters of the reference change: comments,
 * order, quotes and line ends stay, because the text is not written anew. Pure.
 */
import { isScalar, parseAllDocuments, Scalar, visit } from 'yaml'
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

/**
 * @param text - of a YAML file
 * @throws {FAILED_PRECONDITION} what stands there is not the reference as such: a variable, an alias, a folded text
 */
export function editReference(text: string, { line, column, from, to }: ReferenceEdit): string {
  const offset = offsetOf(text, line) + column - 1
  const scalar = scalarAt(text, offset)
  const quote = QUOTES.get(scalar?.type ?? '')
  if (scalar?.value !== from || quote === undefined || scalar.anchor !== undefined)
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot change "${from}" (line ${String(line)}): it is not written out there`,
      { hint: 'Write image: as plain text, without variables, anchors and aliases' },
    )
  const [start, end] = scalar.range ?? [offset, offset]
  return `${text.slice(0, start)}${quote}${to}${quote}${text.slice(end)}`
}

function offsetOf(text: string, line: number): number {
  let offset = 0
  for (let at = 1; at < line; at++) {
    const next = text.indexOf('\n', offset)
    if (next === -1) return text.length
    offset = next + 1
  }
  return offset
}

/** The value that begins there. */
function scalarAt(text: string, offset: number): Scalar | undefined {
  let found: Scalar | undefined
  for (const document of parseAllDocuments(text)) {
    if (!('contents' in document)) continue
    visit(document, {
      Scalar: (_, node) => {
        if (!isScalar(node) || node.range?.[0] !== offset) return undefined
        found = node
        return visit.BREAK
      },
    })
  }
  return found
}
