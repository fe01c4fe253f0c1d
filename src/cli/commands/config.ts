import type { Command } from '../command.ts'
import { loadSource } from '../stack-source.ts'

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...]',
  summary: 'Check the stack file and print it in canonical form',
  flags: [],
  examples: [['tsstack config -q', 'Only check; exit code 1 and the errors when it is wrong']],
  async run(context) {
    context.output.write(`${JSON.stringify((await loadSource(context)).stack, null, 2)}\n`)
    return 0
  },
}
