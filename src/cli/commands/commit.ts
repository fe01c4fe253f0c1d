import type { Command } from '../command.ts'
import { findTarget } from '../find-target.ts'

export const command: Command = {
  usage: '[OPTIONS] SERVICE|CONTAINER [NAME[:TAG]]',
  summary: 'Make an image of what a container has changed',
  details: 'What lies in volumes and other mounts is no part of it. Prints the id of the image.',
  flags: [
    { name: 'author', short: 'a', kind: 'text', value: 'AUTHOR', help: 'Who made it' },
    {
      name: 'change',
      short: 'c',
      kind: 'list',
      value: 'INSTRUCTION',
      help: 'An instruction of a Dockerfile for the image: "CMD run"',
    },
    {
      name: 'index',
      kind: 'integer',
      value: 'N',
      help: 'Replica of the service (default: the first)',
    },
    { name: 'message', short: 'm', kind: 'text', value: 'TEXT', help: 'What was changed' },
    {
      name: 'pause',
      short: 'p',
      kind: 'bool',
      help: 'Pause the container meanwhile (default; --pause=false does not)',
    },
  ],
  examples: [
    ['tsstack commit web web:patched', 'What runs in "web", as an image'],
    ["tsstack commit -c 'ENV DEBUG=1' web web:debug", 'With another environment'],
  ],
  arguments: { min: 1, max: 2 },
  async run(context) {
    const { flags, positional, output } = context
    const [name = '', reference] = positional
    const { id } = await findTarget(context, name, flags.number('index'))
    const [author, message] = [flags.text('author'), flags.text('message')]
    const image = await (
      await context.client()
    ).commit(id, {
      ...(reference === undefined ? {} : { reference }),
      ...(author === undefined ? {} : { author }),
      ...(message === undefined ? {} : { message }),
      changes: flags.list('change'),
      pause: flags.has('pause') ? flags.bool('pause') : true,
    })
    output.line(image.id)
    return 0
  },
}
