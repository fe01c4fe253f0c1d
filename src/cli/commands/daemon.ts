import { pathToFileURL } from 'node:url'
import { setTimeout as delay } from 'node:timers/promises'
import { createClient } from '../../client/client.ts'
import { runtimePaths } from '../../client/runtime-paths.ts'
import { daemonEntry, isListening, startDaemon } from '../../client/start-daemon.ts'
import { TsstackError } from '../../errors.ts'
import { VERSION } from '../../version.ts'
import type { Command, CommandContext } from '../command.ts'
import { didYouMean } from '../did-you-mean.ts'

const STOP_TIMEOUT_MS = 30_000
const POLL_MS = 20
const NOT_RUNNING_EXIT = 1

/** In this process, in the foreground; ends with the daemon. */
async function runHere(): Promise<number> {
  await import(pathToFileURL(daemonEntry()).href)
  return new Promise<number>(() => undefined)
}

function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** @returns whether one ran */
async function stop({ env }: CommandContext): Promise<boolean> {
  const { socket } = runtimePaths(env)
  if (!(await isListening(socket))) return false
  const { pid } = await createClient({ socket }).version()
  try {
    process.kill(pid, 'SIGTERM')
  } catch (error) {
    throw new TsstackError(
      'PERMISSION_DENIED',
      `Cannot stop the daemon (pid ${String(pid)}): not permitted`,
      { cause: error, hint: 'run as root' },
    )
  }
  const deadline = Date.now() + STOP_TIMEOUT_MS
  while (isProcessAlive(pid)) {
    if (Date.now() > deadline) {
      throw new TsstackError(
        'UNAVAILABLE',
        `Cannot stop the daemon (pid ${String(pid)}): it still runs after ${String(STOP_TIMEOUT_MS / 1000)} s`,
      )
    }
    await delay(POLL_MS)
  }
  return true
}

async function status({ env, output }: CommandContext): Promise<number> {
  const paths = runtimePaths(env)
  if (!(await isListening(paths.socket))) {
    output.line(`not running (socket ${paths.socket})`)
    return NOT_RUNNING_EXIT
  }
  const version = await createClient({ socket: paths.socket }).version()
  output.line(`running: version ${version.version}, pid ${String(version.pid)}`)
  output.line(`socket:  ${paths.socket}`)
  output.line(`state:   ${version.stateDir}`)
  output.line(`log:     ${paths.logFile}`)
  if (version.version !== VERSION)
    output.line(`this client is version ${VERSION}; "tsstack daemon restart" renews the daemon`)
  return 0
}

const ACTIONS: Readonly<Record<string, (context: CommandContext) => Promise<number>>> = {
  run: runHere,
  start: async ({ env, output }) => {
    output.note((await startDaemon(env)) ? 'daemon started' : 'daemon already running')
    return 0
  },
  stop: async (context) => {
    context.output.note(
      (await stop(context)) ? 'daemon stopped; containers keep running' : 'daemon not running',
    )
    return 0
  },
  restart: async (context) => {
    await stop(context)
    await startDaemon(context.env)
    context.output.note('daemon restarted; containers kept running')
    return 0
  },
  status,
}

export const command: Command = {
  usage: 'run|start|stop|restart|status',
  summary: 'Start, stop and inspect the daemon',
  details:
    'Other commands start the daemon when they need it. Containers do not depend on it: they keep running while it is stopped, and ' +
    'the next one takes them over. "run" stays in the foreground, for a service manager.',
  flags: [],
  examples: [
    [
      'tsstack daemon status',
      'Whether it runs, and where its log is; exit code 1 when it does not',
    ],
    ['tsstack daemon restart', 'After an update of tsstack; containers keep running'],
  ],
  arguments: { min: 1, max: 1 },
  async run(context) {
    const name = context.positional[0] ?? ''
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined
    if (action === undefined) {
      throw new TsstackError(
        'INVALID_ARGUMENT',
        `unknown command: "tsstack daemon ${name}"${didYouMean(name, Object.keys(ACTIONS))}`,
      )
    }
    return action(context)
  },
}
