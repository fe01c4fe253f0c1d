/**
 * Columns as Docker's tables have them: left-aligned, three spaces between, nothing after the last. Pure.
 * Widths count code points; text with control characters is made harmless first, since names come from containers.
 */
import { ellipsis } from './human.ts'

const GAP = 3

/** A column is not cut to less than this; the first, which names the row, not to less than the other. */
const MIN_COLUMN = 4
const MIN_FIRST_COLUMN = 8

/** Replaces what a terminal would act upon. */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd')
}

function lengthOf(text: string): number {
  return Array.from(text).length
}

/** Takes from the widest column until all fit, or none can give more. The first, which names the row, gives last. */
function fitted(widths: readonly number[], limit: number): readonly number[] {
  const fitting = [...widths]
  const total = (): number => fitting.reduce((sum, width) => sum + width + GAP, -GAP)
  const rest = (): number => Math.max(0, ...fitting.slice(1))
  while (total() > limit) {
    const column = rest() > MIN_COLUMN ? fitting.indexOf(rest(), 1) : 0
    const width = fitting[column] ?? 0
    if (width <= (column === 0 ? MIN_FIRST_COLUMN : MIN_COLUMN)) break
    fitting[column] = width - 1
  }
  return fitting
}

/**
 * @param limit - columns of the terminal that the lines have to fit in; absent: any length
 * @returns lines with a newline each; `header` is the first
 */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  limit = Infinity,
): string {
  const cells = [header, ...rows].map((row) => row.map(printable))
  const natural = header.map((_, column) =>
    Math.max(...cells.map((row) => lengthOf(row[column] ?? ''))),
  )
  const widths = fitted(natural, limit)
  return cells
    .map((row) => {
      const line = row
        .map((text, column) => {
          const width = widths[column] ?? 0
          const cell = ellipsis(text, width)
          return cell + ' '.repeat(width - lengthOf(cell) + GAP)
        })
        .join('')
      return `${line.trimEnd()}\n`
    })
    .join('')
}
