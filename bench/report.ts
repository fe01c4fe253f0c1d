/** The table of a run, as Markdown. */
import type { Row } from './measurements/measurement.ts'
import { summarize } from './statistics.ts'

export interface Column {
  readonly id: string
  readonly title: string
}

/** Row id, then column id, then the value of each round. */
export type Results = ReadonlyMap<string, ReadonlyMap<string, readonly number[]>>

const OURS = 'tsstack'

export function table(rows: readonly Row[], columns: readonly Column[], results: Results): string {
  const head = ['', ...columns.map(({ title }) => title), 'goal', 'reached']
  const lines = rows.map((row) => lineOf(row, columns, results))
  return [head, head.map(() => '---'), ...lines]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n')
}

function lineOf(row: Row, columns: readonly Column[], results: Results): string[] {
  const medians = new Map<string, number>()
  for (const { id } of columns) {
    const values = results.get(row.id)?.get(id)
    if (values !== undefined && values.length > 0) medians.set(id, summarize(values).median)
  }
  const ours = medians.get(OURS)
  const cells = columns.map(({ id }) => cellOf(row, id, { results, medians }))
  const unit = row.unit === '' ? '' : `, ${row.unit}`
  return [`${row.title}${unit}`, ...cells, row.goal?.text ?? '', verdict(row, ours, medians)]
}

function cellOf(
  row: Row,
  column: string,
  { results, medians }: { results: Results; medians: ReadonlyMap<string, number> },
): string {
  const values = results.get(row.id)?.get(column)
  if (values === undefined || values.length === 0) return '–'
  const { median, min, max } = summarize(values)
  const ours = medians.get(OURS)
  const ratio =
    column === OURS || ours === undefined || ours === 0
      ? ''
      : ` · ${plain(row.isRate === true ? ours / median : median / ours)}×`
  const spread = values.length === 1 ? '' : ` (${plain(min)}–${plain(max)})`
  return `**${plain(median)}**${spread}${ratio}`
}

function verdict(
  { goal }: Row,
  ours: number | undefined,
  medians: ReadonlyMap<string, number>,
): string {
  if (goal === undefined || ours === undefined) return ''
  const peers = Object.fromEntries([...medians].filter(([id]) => id !== OURS))
  return goal.isReached(ours, peers) ? 'yes' : '**no**'
}

/** Three digits that count. */
function plain(value: number): string {
  if (value >= 1000) return String(Math.round(value))
  return String(Number(value.toPrecision(3)))
}

/**
 * The rows of an earlier table, with those of a later run in their places, and its new ones at the end: a run of some
 * measurements (`--only`) leaves the others' rows alone.
 *
 * @throws {Error} when the tables have other columns: the ratios of a row hold for one set of peers
 */
export function mergeTables(earlier: string, later: string): string {
  const [before, after] = [rowsOf(earlier), rowsOf(later)]
  const [head, ...rows] = before.values()
  if (head !== undefined && head !== [...after.values()][0])
    throw new Error('Cannot put these rows into the table: it was measured with other peers')
  const merged = new Map([...before, ...after])
  return rows.length === 0 ? later : [...merged.values()].join('\n')
}

/** Of a Markdown table, by title; cells may have been padded by a formatter. */
function rowsOf(text: string): Map<string, string> {
  const lines = text.split('\n').filter((line) => line.startsWith('|'))
  return new Map(
    lines.map((line) => {
      const cells = line
        .slice(1, line.lastIndexOf('|'))
        .split('|')
        .map((cell) => cell.trim().replace(/^-+$/, '---'))
      return [cells[0] ?? '', `| ${cells.join(' | ')} |`]
    }),
  )
}
