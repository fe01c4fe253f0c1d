import { refuseTerminal, writeArchive } from '../archive-streams.ts'
import type { Command } from '../command.ts'
import { findTarget } from '../find-target.ts'

export const command: Command = {
  usage: '[OPTIONS] SERVICE|CONTAINER',
  summary: "Write all files of a container's root into a tar archive",
  details: 'Volumes and other mounts are left out. "tsstack image import" makes an image of it.',
  flags: [
    {
      name: 'index',
      kind: 'integer',
      value: 'N',
      help: 'Replica of the service (default: the first)',
    },
    { name: 'output', short: 'o', kind: 'text', value: 'FILE', help: 'Instead of standard output' },
  ],
  examples: [
    ['tsstack export -o web.tar web', 'The files of "web"'],
    ['tsstack export web | tar -t', 'Their names'],
  ],
  arguments: { min: 1, max: 1 },
  async run(context) {
    const { flags, positional } = context
    const file = flags.text('output')
    if (file === undefined) refuseTerminal('tsstack export')
    const { id } = await findTarget(context, positional[0] ?? '', flags.number('index'))
    await writeArchive(await (await context.client()).exportContainer(id), file)
    return 0
  },
}
