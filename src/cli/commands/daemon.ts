import { setTimeout as delay } from 'node:timers/promises'
import type { Version } from '../../api/types.ts'
import { createClient } from '../../client/client.ts'
import { runtimePaths } from '../../client/runtime-paths.ts'
import {
  cliProgram,
  daemonEntry,
  isListening,
  NODE_FLAGS,
  startDaemon,
} from '../../client/start-daemon.ts'
import { installService, serviceState, uninstallService } from '../../client/systemd-service.ts'
import { TsstackError } from '../../errors.ts'
import { VERSION } from '../../version.ts'
import type { Command, CommandContext } from '../command.ts'
import { didYouMean } from '../did-you-mean.ts'

const STOP_TIMEOUT_MS = 30_000
/** What is in flight may take half a minute, and then it starts. */
const UPGRADE_TIMEOUT_MS = 60_000
const POLL_MS = 20
const NOT_RUNNING_EXIT = 1

/** This process becomes the daemon, in the foreground: its pid is the one that a service manager knows (man 2 execve). */
function runHere(): Promise<number> {
  const environment = Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value]],
    ),
  )
  process.execve?.(process.execPath, [process.execPath, ...NODE_FLAGS, daemonEntry()], environment)
  throw new TsstackError('INTERNAL', 'Cannot become the daemon: this Node has no execve')
}

function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function signalDaemon(verb: string, pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    throw new TsstackError(
      'PERMISSION_DENIED',
      `Cannot ${verb} the daemon (pid ${String(pid)}): not permitted`,
      { cause: error, hint: 'run as root' },
    )
  }
}

/** @returns whether one ran */
async function stop({ env }: CommandContext): Promise<boolean> {
  const { socket } = runtimePaths(env)
  if (!(await isListening(socket))) return false
  const { pid } = await createClient({ socket }).version()
  signalDaemon('stop', pid, 'SIGTERM')
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

/** @throws {UNAVAILABLE} when none runs, or it does not come back */
async function runningDaemon({ env }: CommandContext): Promise<Version> {
  return createClient({ socket: runtimePaths(env).socket }).version()
}

/** In place: the same process, so that requests that come meanwhile wait and containers notice nothing. */
async function upgrade(context: CommandContext): Promise<number> {
  const before = await runningDaemon(context)
  signalDaemon('renew', before.pid, 'SIGUSR2')
  const deadline = Date.now() + UPGRADE_TIMEOUT_MS
  for (;;) {
    const now = await runningDaemon(context)
    if (now.startedAt !== before.startedAt) {
      context.output.note(`daemon renewed: version ${now.version}, pid ${String(now.pid)}`)
      return 0
    }
    if (Date.now() > deadline) {
      throw new TsstackError(
        'UNAVAILABLE',
        `Cannot renew the daemon (pid ${String(before.pid)}): it is still the one of ${before.startedAt}`,
        { hint: `its log is "${runtimePaths(context.env).logFile}"` },
      )
    }
    await delay(POLL_MS)
  }
}

async function reload(context: CommandContext): Promise<number> {
  const { pid } = await runningDaemon(context)
  signalDaemon('reload', pid, 'SIGHUP')
  context.output.note('daemon was told to read its settings again')
  return 0
}

async function install({ env, output }: CommandContext): Promise<number> {
  const options = { program: cliProgram(), paths: runtimePaths(env), environment: env }
  for (const file of await installService(options)) output.note(`wrote ${file}`)
  output.note('daemon runs as a service, from now on and at each boot')
  return 0
}

async function uninstall({ output }: CommandContext): Promise<number> {
  output.note(
    (await uninstallService())
      ? 'service removed; containers keep running'
      : 'no service installed',
  )
  return 0
}

async function status({ env, output }: CommandContext): Promise<number> {
  const paths = runtimePaths(env)
  const service = await serviceState()
  if (service !== undefined) output.line(`service: tsstack.service (${service})`)
  if (!(await isListening(paths.socket))) {
    output.line(`not running (socket ${paths.socket})`)
    return NOT_RUNNING_EXIT
  }
  const version = await createClient({ socket: paths.socket }).version()
  output.line(`running: version ${version.version}, pid ${String(version.pid)}`)
  output.line(`socket:  ${paths.socket}`)
  output.line(`state:   ${version.stateDir}`)
  output.line(`log:     ${service === undefined ? paths.logFile : 'journalctl -u tsstack'}`)
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
  reload,
  upgrade,
  install,
  uninstall,
  status,
}

export const command: Command = {
  usage: 'ACTION',
  summary: 'Start, stop, renew and inspect the daemon',
  details: [
    'Other commands start the daemon when they need it. Containers do not depend on it: they keep running while it is stopped, and ' +
      'the next one takes them over.',
    'Actions:',
    '  run         In the foreground, for a service manager',
    '  start       Unless it runs',
    '  stop        Containers keep running',
    '  restart     Stop and start',
    '  reload      Read settings and open the log file again (SIGHUP)',
    '  upgrade     Renew it in place with the program of now (SIGUSR2)',
    '  install     As a service of systemd, from the boot on',
    '  uninstall   Remove that service',
    '  status      Whether it runs; exit code 1 when it does not',
  ].join('\n'),
  flags: [],
  examples: [
    [
      'tsstack daemon status',
      'Whether it runs, and where its log is; exit code 1 when it does not',
    ],
    ['tsstack daemon upgrade', 'After an update of tsstack; clients and containers notice nothing'],
    ['tsstack daemon install', 'Start it at each boot, with the containers that ran'],
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
