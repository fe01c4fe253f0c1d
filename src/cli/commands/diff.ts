import type { FileChange } from '../../api/file-types.ts'
import type { Command } from '../command.ts'
import { findTarget } from '../find-target.ts'
import { showRevisionDiff } from './history.ts'

const LETTERS: Readonly<Record<FileChange['kind'], string>> = {
  added: 'A',
  changed: 'C',
  deleted: 'D',
}

/** As `docker diff`: a letter and a path on each line. */
function formatChanges(changes: readonly FileChange[]): string {
  return changes.map(({ kind, path }) => `${LETTERS[kind]} ${path}\n`).join('')
}

/** `3..5`: no container is called so. */
const REVISIONS = /^\d+\.\.\d*$/

export const command: Command = {
  usage: '[OPTIONS] SERVICE|CONTAINER|REVISION..REVISION',
  summary: 'Show which files a container has added (A), changed (C) and deleted (D)',
  details:
    'What lies in volumes and other mounts does not count. Of two revisions of the stack, as "history" lists them: what differs.',
  flags: [
    {
      name: 'index',
      kind: 'integer',
      value: 'N',
      help: 'Replica of the service (default: the first)',
    },
    {
      name: 'format',
      kind: 'text',
      value: 'FORMAT',
      choices: ['text', 'json'],
      help: 'text or json (default: text)',
    },
  ],
  examples: [
    ['tsstack diff web', 'What "web" has written over its image'],
    ['tsstack diff web --format json', 'The same for a program'],
    ['tsstack diff 3..5', 'What changed from revision 3 of the stack to revision 5'],
  ],
  arguments: { min: 1, max: 1 },
  async run(context) {
    const { flags, positional, output } = context
    const [name = ''] = positional
    if (REVISIONS.test(name)) return showRevisionDiff(context, name)
    const { id } = await findTarget(context, name, flags.number('index'))
    const changes = await (await context.client()).changes(id)
    if (flags.text('format') === 'json') output.line(JSON.stringify(changes))
    else output.write(formatChanges(changes))
    return 0
  },
}
