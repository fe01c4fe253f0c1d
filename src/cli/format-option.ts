/**
 * `--format` of the listing commands: `table` (default), `json`, a template, or a template with `table` in front for
 * columns with a header. Pure.
 */
import { TsstackError } from '../errors.ts'
import { formatTable } from './table.ts'
import { parseTemplate } from './template/parse-template.ts'
import { renderTemplate, type Row } from './template/render-template.ts'
import { HEADER_FUNCTIONS } from './template/template-functions.ts'

export interface Listing {
  readonly rows: readonly Row[]
  /** JSON as an object a line, as `ps` has it, instead of one array. */
  readonly jsonLines: boolean
  /** Headers of the columns, where they are not the field's name in capitals. */
  readonly titles?: Readonly<Record<string, string>>
}

/** `com.docker.compose.project` as a header: `PROJECT`. */
function labelTitle(label: unknown): string {
  const name = typeof label === 'string' ? label : ''
  return name
    .slice(name.lastIndexOf('.') + 1)
    .replaceAll(/[-_]/g, ' ')
    .toUpperCase()
}

/** Without a row only the template says which fields there are. */
function fieldNames(body: string, [row]: readonly Row[]): readonly string[] {
  return row === undefined
    ? [...body.matchAll(/\.(\w+)/g)].map(([, name = '']) => name)
    : Object.keys(row)
}

function formatColumns(body: string, { rows, titles = {} }: Listing): string {
  const nodes = parseTemplate(body)
  const header = Object.fromEntries(
    fieldNames(body, rows).map((name) => [
      name,
      name === 'Label' ? labelTitle : (titles[name] ?? name.toUpperCase()),
    ]),
  )
  return formatTable(
    renderTemplate(nodes, header, HEADER_FUNCTIONS).split('\t'),
    rows.map((row) => renderTemplate(nodes, row).split('\t')),
  )
}

/**
 * A listing in a format other than the command's own table.
 * @returns undefined for the command's own table
 * @throws {INVALID_ARGUMENT} for a template that cannot be used
 */
export function formatRows(format: string, listing: Listing): string | undefined {
  const { rows, jsonLines } = listing
  if (format === '' || format === 'table') return undefined
  if (format === 'json') {
    return jsonLines
      ? rows.map((row) => `${JSON.stringify(row)}\n`).join('')
      : `${JSON.stringify(rows)}\n`
  }
  const template = format.replaceAll('\\t', '\t').replaceAll('\\n', '\n')
  if (!template.includes('{{')) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot use --format "${format}": expected table, json, or fields like {{.Name}}`,
    )
  }
  if (template.startsWith('table ')) return formatColumns(template.slice('table '.length), listing)
  const nodes = parseTemplate(template)
  return rows.map((row) => `${renderTemplate(nodes, row)}\n`).join('')
}
