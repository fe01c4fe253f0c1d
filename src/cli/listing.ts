/** What listing commands share: `-q`, `--format`, and the formats that Docker's config.json names. */
import { toTsstackError } from '../errors.ts'
import type { Flag } from './args.ts'
import type { CommandContext } from './command.ts'
import { formatRows, type Listing } from './format-option.ts'

export const QUIET_FLAG: Flag = { name: 'quiet', short: 'q', kind: 'bool', help: 'Only names' }

export const FORMAT_FLAG: Flag = {
  name: 'format',
  kind: 'text',
  value: 'FORMAT',
  help: 'table, json, or a template like "{{.Name}}" or "table {{.Name}}"',
}

export const PRUNE_FILTER_FLAG: Flag = {
  name: 'filter',
  kind: 'list',
  value: 'KEY=VALUE',
  help: 'prune: until=24h (older), label=KEY, label!=KEY=VALUE',
}

export interface ShownListing extends Listing {
  /** What `-q` prints, a line each. */
  readonly quiet?: readonly string[]
  /** The command's own table, no wider than this. */
  readonly table: (width?: number) => string
  /** The entry of Docker's config.json that stands in for `--format`: `psFormat`. */
  readonly setting?: string
}

async function settingFormat(
  { env, output }: CommandContext,
  setting: string,
): Promise<string | undefined> {
  const { readListingFormat } = await import('../registry/docker-config-file.ts')
  try {
    return readListingFormat(env, setting)
  } catch (error) {
    output.note(`warning: ${toTsstackError(error).message}`)
    return undefined
  }
}

/**
 * The listing as the flags say it.
 * @throws {INVALID_ARGUMENT} for a template that cannot be used
 */
export async function renderListing(
  context: CommandContext,
  listing: ShownListing,
): Promise<string> {
  const { flags, output } = context
  const { quiet, setting, table } = listing
  if (flags.bool('quiet') && quiet !== undefined) return quiet.map((word) => `${word}\n`).join('')
  const format =
    flags.text('format') ??
    (setting === undefined ? undefined : await settingFormat(context, setting)) ??
    'table'
  return formatRows(format, listing) ?? table(flags.bool('no-trunc') ? undefined : output.width())
}
