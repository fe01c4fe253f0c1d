import type { Command } from '../command.ts'
import { refusedFlag } from '../common-flags.ts'
import { forwardSignals } from '../forward-signals.ts'
import { isTerminal } from '../output.ts'
import { oneContainer } from '../select-containers.ts'
import { resolveStackName } from '../stack-name.ts'
import { runSession } from '../terminal-session.ts'

export const command: Command = {
  usage: '[OPTIONS] SERVICE',
  summary: 'Join the standard streams of a running container',
  details:
    'Output from now on; what is typed goes to its program where `stdin_open` is set. Without a terminal of its own, Ctrl-C leaves the container running.',
  flags: [
    {
      name: 'index',
      kind: 'integer',
      value: 'N',
      help: 'Replica of the service (default: the first)',
    },
    { name: 'no-stdin', kind: 'bool', help: 'Do not pass on what is typed' },
    {
      name: 'sig-proxy',
      kind: 'bool',
      help: 'Pass signals, Ctrl-C for example, on to its program (default: they end the command alone)',
    },
    refusedFlag('detach-keys', 'there are no such keys; Ctrl-C ends "attach --no-stdin"', {
      kind: 'text',
      value: 'KEYS',
    }),
  ],
  examples: [['tsstack attach worker', 'See what "worker" prints from now on']],
  arguments: { min: 1, max: 1 },
  async run(context) {
    const { flags, positional, output } = context
    const [service = ''] = positional
    const stack = await resolveStackName(context)
    const client = await context.client()
    const container = await oneContainer(client, stack, { service, index: flags.number('index') })
    const { config } = await client.container(container.id)
    const tty = config['tty'] === true && isTerminal(0) && isTerminal(1)
    const stdin = config['stdinOpen'] === true && !flags.bool('no-stdin')
    const session = await client.attach(container.id)
    const restore = flags.bool('sig-proxy')
      ? forwardSignals(client, container.id, output.note)
      : () => undefined
    try {
      return await runSession(session, { tty, stdin })
    } finally {
      restore()
    }
  },
}
