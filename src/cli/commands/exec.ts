import type { Command, CommandContext } from '../command.ts'
import { TERMINAL_FLAGS } from '../common-flags.ts'
import { parseEnvironment } from '../environment-flags.ts'
import { oneContainer } from '../select-containers.ts'
import { resolveStackName } from '../stack-name.ts'
import { readStreams, runSession, terminalSize } from '../terminal-session.ts'

async function run(context: CommandContext): Promise<number> {
  const { flags, positional, env } = context
  const [service = '', ...program] = positional
  const stack = await resolveStackName(context)
  const client = await context.client()
  const container = await oneContainer(client, stack, { service, index: flags.number('index') })
  const { detach, stdin, tty } = readStreams(flags)
  const user = flags.text('user')
  const workingDir = flags.text('workdir')
  const size = tty ? terminalSize() : undefined
  const session = await client.exec(container.id, {
    command: program,
    tty,
    stdin,
    detach,
    privileged: flags.bool('privileged'),
    environment: parseEnvironment(flags.list('env'), env),
    ...(user === undefined ? {} : { user }),
    ...(workingDir === undefined ? {} : { workingDir }),
    ...(size === undefined ? {} : { size }),
  })
  return runSession(session, { tty, stdin })
}

export const command: Command = {
  usage: '[OPTIONS] SERVICE COMMAND [ARGS...]',
  summary: 'Run a command in a running container',
  details:
    "With a terminal when standard input and output are one. The command's exit code is returned.",
  flags: [
    { name: 'detach', short: 'd', kind: 'bool', help: 'Return at once' },
    {
      name: 'env',
      short: 'e',
      kind: 'list',
      value: 'KEY=VALUE',
      help: 'Set an environment variable; KEY alone takes it from here',
    },
    {
      name: 'index',
      kind: 'integer',
      value: 'N',
      help: 'Replica of the service (default: the first)',
    },
    ...TERMINAL_FLAGS,
    { name: 'privileged', kind: 'bool', help: 'All capabilities' },
    { name: 'user', short: 'u', kind: 'text', value: 'USER', help: 'Run as this user' },
    { name: 'workdir', short: 'w', kind: 'text', value: 'PATH', help: 'Run in this directory' },
  ],
  examples: [
    ['tsstack exec api sh', 'A shell in the first replica of "api"'],
    ['tsstack exec -T db pg_dump shop > shop.sql', 'Without a terminal, for a pipe'],
  ],
  passthrough: true,
  arguments: { min: 2 },
  run,
}
