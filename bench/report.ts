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
