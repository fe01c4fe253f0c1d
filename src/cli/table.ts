/**
 * Columns as Docker's tables have them: left-aligned, three spaces between, nothing after the last. Pure.
 * Widths count code points; text with control characters is made harmless first, since names come from containers.
 */
const GAP = 3

/** Replaces what a terminal would act upon. */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd')
}

function width(text: string): number {
  return Array.from(text).length
}

/** @returns lines with a newline each; `header` is the first */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const cells = [header, ...rows].map((row) => row.map(printable))
  const widths = header.map((_, column) =>
    Math.max(...cells.map((row) => width(row[column] ?? ''))),
  )
  return cells
    .map((row) => {
      const line = row
        .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - width(cell) + GAP))
        .join('')
      return `${line.trimEnd()}\n`
    })
    .join('')
}
