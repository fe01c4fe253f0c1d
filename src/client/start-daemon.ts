/**
 * Finds the daemon, or starts it: detached, in a session of its own, its output in a log file. Several clients may do so
 * at once: each starts one, the daemon takes a lock, the losers leave, and every client waits for the one that answers.
 */
import { closeSync, fstatSync, mkdirSync, openSync, readSync } from 'node:fs'
import { connect } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { TsstackError } from '../errors.ts'
import { VERSION } from '../version.ts'
import { createClient } from './client.ts'
import type { Client } from './client.ts'
import { runtimePaths } from './runtime-paths.ts'
import type { RuntimePaths } from './runtime-paths.ts'
import { connectionError } from './transport.ts'

const START_TIMEOUT_MS = 20_000
/** How long another client's daemon may still need after ours has left: with 0 because it lost, or failing. */
const LOSER_TIMEOUT_MS = 5000
const FAILED_TIMEOUT_MS = 1000
const POLL_MS = 10
const LOG_TAIL_LINES = 12
const LOG_TAIL_BYTES = 8192

/** What a daemon needs of the environment; the rest may hold secrets of the user and stays out of a long-lived process. */
const PASSED_ON = /^(?:PATH|HOME|TMPDIR|TZ|LANG|LC_.*|(?:https?|no|all)_proxy|OTEL_.*|TSSTACK_.*)$/i

/** Small over quick: a daemon lives long, and what it does is bound by the kernel (a third less memory, docs/benchmarks.md). */
export const NODE_FLAGS = [
  '--disable-warning=ExperimentalWarning', // node:sqlite
  '--max-semi-space-size=1',
  '--optimize-for-size',
]

/** The daemon's program: its bundle when this is a bundle, else its source. */
export function daemonEntry(): string {
  const running = process.argv[1] ?? ''
  if (basename(running) === 'cli.cjs') return join(dirname(running), 'daemon.mjs')
  return join(import.meta.dirname, '..', 'daemon', 'main.ts')
}

/** The program `tsstack` of this installation, which finds Node and what it runs by itself. */
export function cliProgram(): string {
  // .cache/bundle/cli.cjs, or src/cli/main.ts
  return join(dirname(process.argv[1] ?? ''), '..', '..', 'tsstack')
}

/** Whether somebody accepts connections on the socket. @throws {PERMISSION_DENIED} */
export async function isListening(socket: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const connection = connect(socket)
    connection.on('connect', () => {
      connection.destroy()
      resolve(true)
    })
    connection.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(false)
      else reject(connectionError(socket, error))
    })
  })
}

function openLog(paths: RuntimePaths): number {
  try {
    mkdirSync(paths.stateDir, { recursive: true, mode: 0o711 })
    mkdirSync(paths.runDir, { recursive: true, mode: 0o755 })
    return openSync(paths.logFile, 'a+', 0o600)
  } catch (error) {
    throw new TsstackError(
      'PERMISSION_DENIED',
      `Cannot start the daemon: cannot write "${paths.logFile}"`,
      {
        cause: error,
        hint: 'run as root (containers, networks and mounts need it), or set TSSTACK_STATE_DIR and TSSTACK_RUN_DIR',
      },
    )
  }
}

/** The last lines that were written to the log since `from`. */
function logTail(fd: number, from: number): string {
  const size = fstatSync(fd).size
  const start = Math.max(from, size - LOG_TAIL_BYTES)
  const buffer = Buffer.alloc(Math.max(0, size - start))
  readSync(fd, buffer, 0, buffer.length, start)
  return buffer.toString().trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n')
}

interface Start {
  readonly paths: RuntimePaths
  readonly logFd: number
  readonly logStart: number
}

function failedStart({ paths, logFd, logStart }: Start, state: string): TsstackError {
  const tail = logTail(logFd, logStart)
  const quoted = tail === '' ? '' : `\n${tail.replaceAll(/^/gm, '  | ')}`
  return new TsstackError('UNAVAILABLE', `Cannot start the daemon: ${state}${quoted}`, {
    hint: `its log is "${paths.logFile}"`,
  })
}

async function waitUntilListening(start: Start, exited: () => string | undefined): Promise<void> {
  let deadline = Date.now() + START_TIMEOUT_MS
  let left: string | undefined
  while (Date.now() < deadline) {
    if (await isListening(start.paths.socket)) return
    const state = exited()
    if (state !== undefined && left === undefined) {
      left = state
      const graceMs = state === 'exit code 0' ? LOSER_TIMEOUT_MS : FAILED_TIMEOUT_MS
      deadline = Math.min(deadline, Date.now() + graceMs)
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
  throw failedStart(
    start,
    left === undefined
      ? `no answer within ${String(START_TIMEOUT_MS / 1000)} s`
      : `it ended with ${left}`,
  )
}

/**
 * Starts a daemon unless one listens; returns when one does.
 * @returns whether this call started it
 * @throws {UNAVAILABLE} with the last lines of its log when it does not come up, {PERMISSION_DENIED}
 */
export async function startDaemon(env: NodeJS.ProcessEnv): Promise<boolean> {
  const paths = runtimePaths(env)
  if (await isListening(paths.socket)) return false
  const logFd = openLog(paths)
  try {
    const start: Start = { paths, logFd, logStart: fstatSync(logFd).size }
    let exited: string | undefined
    const passedOn = Object.fromEntries(
      Object.entries(env).filter(([name]) => PASSED_ON.test(name)),
    )
    const { spawn } = await import('node:child_process')
    const child = spawn(process.execPath, [...NODE_FLAGS, daemonEntry()], {
      detached: true,
      cwd: '/',
      stdio: ['ignore', logFd, logFd],
      env: { ...passedOn, TSSTACK_LOG_FILE: paths.logFile },
    })
    child.on('error', (error) => {
      exited = error.message
    })
    child.on('exit', (code, signal) => {
      exited = code === null ? `signal ${String(signal)}` : `exit code ${String(code)}`
    })
    child.unref()
    await waitUntilListening(start, () => exited)
    return true
  } finally {
    closeSync(logFd)
  }
}

/** A client for the daemon, which is started when none runs. `note` gets a line when daemon and client differ. */
export async function connectOrStart(
  env: NodeJS.ProcessEnv,
  note: (line: string) => void,
): Promise<Client> {
  const { socket } = runtimePaths(env)
  await startDaemon(env)
  return createClient({
    socket,
    onVersionMismatch: (version) => {
      note(
        `warning: the daemon is version ${version}, this is ${VERSION}; "tsstack daemon restart" renews it, containers keep running`,
      )
    },
  })
}
