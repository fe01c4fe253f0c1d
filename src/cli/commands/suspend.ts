/** suspend and resume: whether the daemon repairs a stack. */
import type { Command } from '../command.ts'
import { BY_HAND_FLAGS, readByHand } from '../common-flags.ts'
import { resolveStackName } from '../stack-name.ts'

export const suspend: Command = {
  usage: '[OPTIONS] [STACK]',
  summary: 'Stop repairing a stack by itself, until it is resumed',
  details:
    'Differences from what is declared are still told as events. "up" and "down" work as ever.',
  flags: BY_HAND_FLAGS,
  examples: [
    ['tsstack suspend --for 2h --reason "looking for a leak"', 'Look at a container in peace'],
  ],
  arguments: { min: 0, max: 1 },
  async run(context) {
    const stack = context.positional[0] ?? (await resolveStackName(context))
    await (await context.client()).suspend(stack, readByHand(context.flags))
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
