import type { Revision } from '../../api/revision-types.ts'
import { TsstackError } from '../../errors.ts'
import { formatModelChanges } from '../../planner/model-changes.ts'
import type { Command, CommandContext } from '../command.ts'
import { humanDuration } from '../human.ts'
import { resolveStackName } from '../stack-name.ts'
import { createStyle } from '../style.ts'
import { formatTable, printable } from '../table.ts'

const SHORT_COMMIT = 12

/** `3..5`, `3..` (to the newest), `5` (from the one before). */
const RANGE = /^(\d{1,8})(?:(\.\.)(\d{1,8})?)?$/

/** @throws {INVALID_ARGUMENT} */
export function parseRange(text: string): { readonly from?: number; readonly to?: number } {
  const match = RANGE.exec(text)
  if (match === null)
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `invalid range of revisions "${text}": expected REVISION..REVISION`,
      { hint: 'tsstack history diff 3..5' },
    )
  const [, first, dots, last] = match
  if (dots === undefined) return { to: Number(first) }
  return { from: Number(first), ...(last === undefined ? {} : { to: Number(last) }) }
}

/** What the revision is about, in a few words. */
function aboutOf({ changes, rollbackOf, number }: Revision): string {
  if (rollbackOf !== undefined) return `back to revision ${String(rollbackOf)}`
  if (changes.every(({ resource }) => resource === 'added') && number === 1) return 'first revision'
  const words = changes.map(({ kind, name, field, resource }) =>
    resource === undefined ? `${name}: ${field}` : `${kind} ${name} ${resource}`,
  )
  return [...new Set(words)].join(', ')
}

function sourceOf({ origin, files }: Revision): string {
  if (origin === undefined) return files.join(', ')
  return `${origin.repository}@${origin.commit.slice(0, SHORT_COMMIT)}`
}

function historyTable(revisions: readonly Revision[], width: number | undefined): string {
  const rows = revisions.map((revision) => [
    `${String(revision.number)}${revision.current ? ' *' : ''}`,
    `${humanDuration(Date.now() - Date.parse(revision.createdAt))} ago`,
    revision.author,
    revision.outcome.status,
    sourceOf(revision),
    aboutOf(revision),
  ])
  return formatTable(['REVISION', 'CREATED', 'BY', 'STATUS', 'SOURCE', 'CHANGES'], rows, width)
}

async function list(context: CommandContext): Promise<number> {
  const { output, flags } = context
  const stack = await resolveStackName(context)
  const revisions = await (await context.client()).revisions(stack)
  if (flags.bool('json')) output.write(`${JSON.stringify(revisions, null, 2)}\n`)
  else {
    output.write(historyTable(revisions, output.width()))
    for (const { number, outcome } of revisions)
      if (outcome.message !== undefined)
        output.note(printable(`revision ${String(number)} ${outcome.status}: ${outcome.message}`))
  }
  return 0
}

/** Prints what differs between two revisions. */
export async function showRevisionDiff(context: CommandContext, range: string): Promise<number> {
  const { output, flags } = context
  const parsed = parseRange(range)
  const stack = await resolveStackName(context)
  const diff = await (await context.client()).revisionDiff(stack, parsed)
  if (flags.bool('json') || flags.text('format') === 'json') {
    output.write(`${JSON.stringify(diff, null, 2)}\n`)
    return 0
  }
  const style = createStyle(output.color)
  const paint = { '+': style.green, '-': style.red, '~': style.yellow }
  for (const line of formatModelChanges(diff.changes).map(printable)) {
    const mark = line.charAt(0)
    output.line(mark === '+' || mark === '-' || mark === '~' ? paint[mark](line) : line)
  }
  if (diff.changes.length === 0)
    output.note(`revisions ${String(diff.from)} and ${String(diff.to)} are the same`)
  return 0
}

export const command: Command = {
  usage: '[OPTIONS] [diff REVISION..REVISION]',
  summary: 'List the revisions of a stack, or show what differs between two',
  details:
    'Each desired state that "up" accepted is a revision: its model, the content of its configs and secrets, and the images ' +
    'that it had. The same one twice is one revision. "*" marks what the stack is wanted to be now. The last 50 are kept, ' +
    'after "down" too. Sensitive values are not shown.',
  flags: [{ name: 'json', kind: 'bool', help: 'As JSON' }],
  examples: [
    ['tsstack history', 'Newest first'],
    ['tsstack history diff 3..5', 'What changed from revision 3 to revision 5'],
    ['tsstack history diff 5', 'What revision 5 changed'],
  ],
  arguments: { min: 0, max: 2 },
  async run(context) {
    const [word, range] = context.positional
    if (word === undefined) return list(context)
    if (word === 'diff' && range !== undefined) return showRevisionDiff(context, range)
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `unknown argument "${word}": expected diff REVISION..REVISION`,
    )
  },
}
