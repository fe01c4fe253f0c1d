import { createClient } from '../../client/client.ts'
import { runtimePaths } from '../../client/runtime-paths.ts'
import { isListening } from '../../client/start-daemon.ts'
import type { Version } from '../../api/types.ts'
import { VERSION } from '../../version.ts'
import type { Command, CommandContext } from '../command.ts'

/** What the running daemon is; none is started for it. */
async function daemonVersion({ env }: CommandContext): Promise<Version | undefined> {
  const { socket } = runtimePaths(env)
  try {
    return (await isListening(socket)) ? await createClient({ socket }).version() : undefined
  } catch {
    return undefined
  }
}

export const command: Command = {
  usage: '[OPTIONS]',
  summary: 'Show the version of tsstack, and of the daemon when one runs',
  flags: [
    {
      name: 'format',
      short: 'f',
      kind: 'text',
      value: 'FORMAT',
      choices: ['pretty', 'json'],
      help: 'pretty or json',
    },
    { name: 'short', kind: 'bool', help: 'Only the number' },
  ],
  examples: [['tsstack version --short', 'The number alone']],
  arguments: { min: 0, max: 0 },
  async run(context) {
    const { flags, output } = context
    if (flags.bool('short')) {
      output.line(VERSION)
      return 0
    }
    const daemon = await daemonVersion(context)
    if (flags.text('format') === 'json') {
      output.line(JSON.stringify({ version: VERSION, ...(daemon === undefined ? {} : { daemon }) }))
      return 0
    }
    output.line(`tsstack version ${VERSION}`)
    if (daemon !== undefined) {
      output.line(
        `daemon version ${daemon.version} (pid ${String(daemon.pid)}, Node ${daemon.node}, Linux ${daemon.kernel}, ${daemon.arch})`,
      )
    }
    return 0
  },
}
