/** suspend and resume: whether the daemon repairs a stack. */
import type { Command } from '../command.ts'
import { resolveStackName } from '../stack-name.ts'

export const suspend: Command = {
  usage: '[OPTIONS] [STACK]',
  summary: 'Stop repairing a stack by itself, until it is resumed',
  details:
    'Differences from what is declared are still told as events. "up" and "down" work as ever.',
  flags: [
    {
      name: 'for',
      kind: 'seconds',
      value: 'DURATION',
      help: 'Resume by itself after this time: 2h, 30m, seconds',
    },
  ],
  examples: [['tsstack suspend --for 2h', 'Look at a broken container in peace']],
  arguments: { min: 0, max: 1 },
  async run(context) {
    const stack = context.positional[0] ?? (await resolveStackName(context))
    const forSeconds = context.flags.number('for')
    await (await context.client()).suspend(stack, forSeconds === undefined ? {} : { forSeconds })
    return 0
  },
}

export const resume: Command = {
  usage: '[STACK]',
  summary: 'Let a stack be repaired by itself again',
  flags: [],
  examples: [['tsstack resume', 'And repair at once what differs']],
  arguments: { min: 0, max: 1 },
  async run(context) {
    const stack = context.positional[0] ?? (await resolveStackName(context))
    await (await context.client()).resume(stack)
    return 0
  },
}
