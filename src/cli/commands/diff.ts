import type { FileChange } from '../../api/file-types.ts'
import type { Command } from '../command.ts'
import { findTarget } from '../find-target.ts'

const LETTERS: Readonly<Record<FileChange['kind'], string>> = {
  added: 'A',
  changed: 'C',
  deleted: 'D',
}

/** As `docker diff`: a letter and a path on each line. */
function formatChanges(changes: readonly FileChange[]): string {
  return changes.map(({ kind, path }) => `${LETTERS[kind]} ${path}\n`).join('')
}

export const command: Command = {
  usage: '[OPTIONS] SERVICE|CONTAINER',
  summary: 'Show which files a container has added (A), changed (C) and deleted (D)',
  details: 'What lies in volumes and other mounts does not count.',
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
  ],
  arguments: { min: 1, max: 1 },
  async run(context) {
    const { flags, positional, output } = context
    const { id } = await findTarget(context, positional[0] ?? '', flags.number('index'))
    const changes = await (await context.client()).changes(id)
    if (flags.text('format') === 'json') output.line(JSON.stringify(changes))
    else output.write(formatChanges(changes))
    return 0
  },
}
