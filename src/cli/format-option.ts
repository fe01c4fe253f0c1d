/**
 * `--format` of the listing commands: `table` (default), `json`, or a template of Go's in its simplest form:
 * `{{.Name}}`, `{{json .}}`, `{{json .Labels}}`, with `\t` and `\n`, and `table` in front for a header. Pure.
 */
import { TsstackError } from '../errors.ts'
import { formatTable } from './table.ts'

type Row = Readonly<Record<string, unknown>>

const ACTION = /\{\{\s*(json\s+)?\.(\w*)\s*\}\}/g

function fieldText(value: unknown): string {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : JSON.stringify(value)
}

function render(template: string, row: Row): string {
  return template.replaceAll(ACTION, (_, json: string | undefined, field: string) => {
    if (field === '') return JSON.stringify(row)
    if (!Object.hasOwn(row, field)) {
      throw new TsstackError(
        'INVALID_ARGUMENT',
        `Cannot use field ".${field}" in --format: there is no such field`,
        {
          hint: `fields: ${Object.keys(row).join(', ')}`,
        },
      )
    }
    return json === undefined ? fieldText(row[field]) : JSON.stringify(row[field])
  })
}

/**
 * A listing in a format other than the command's own table.
 * @returns undefined for the command's own table
 * @throws {INVALID_ARGUMENT} for a template beyond these
 */
export function formatRows(
  format: string,
  rows: readonly Row[],
  jsonLines: boolean,
): string | undefined {
  if (format === '' || format === 'table') return undefined
  if (format === 'json') {
    return jsonLines
      ? rows.map((row) => `${JSON.stringify(row)}\n`).join('')
      : `${JSON.stringify(rows)}\n`
  }
  const template = format.replaceAll('\\t', '\t').replaceAll('\\n', '\n')
  if (template.replaceAll(ACTION, '').includes('{{') || !template.includes('{{')) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot use --format "${format}": expected table, json, or fields like {{.Name}}`,
    )
  }
  if (!template.startsWith('table '))
    return rows.map((row) => `${render(template, row)}\n`).join('')
  const body = template.slice('table '.length)
  const header = body.replaceAll(ACTION, (_, __, field: string) => field.toUpperCase()).split('\t')
  return formatTable(
    header,
    rows.map((row) => render(body, row).split('\t')),
  )
}
