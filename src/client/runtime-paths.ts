/** Where client and daemon meet. */
import { join } from 'node:path'
import { TsstackError } from '../errors.ts'

export interface RuntimePaths {
  /** `TSSTACK_RUN_DIR`, default `/run/tsstack`: gone after a reboot. */
  readonly runDir: string
  /** `TSSTACK_STATE_DIR`, default `/var/lib/tsstack`. */
  readonly stateDir: string
  /** `TSSTACK_HOST` (`unix:///path`), default `tsstack.sock` in the run directory. */
  readonly socket: string
  /** Standard output and error of a daemon that a client started. */
  readonly logFile: string
}

/** sun_path of unix(7), with its closing zero. */
const MAX_SOCKET_PATH = 107

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}

/** @throws {INVALID_ARGUMENT} when TSSTACK_HOST is no unix socket, or its path is too long for one */
export function runtimePaths(env: NodeJS.ProcessEnv): RuntimePaths {
  const runDir = nonEmpty(env['TSSTACK_RUN_DIR']) ?? '/run/tsstack'
  const stateDir = nonEmpty(env['TSSTACK_STATE_DIR']) ?? '/var/lib/tsstack'
  const host = nonEmpty(env['TSSTACK_HOST'])
  if (host !== undefined && !host.startsWith('unix:///')) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot use TSSTACK_HOST="${host}": expected unix:///path`,
    )
  }
  const socket = host?.slice('unix://'.length) ?? join(runDir, 'tsstack.sock')
  if (Buffer.byteLength(socket) > MAX_SOCKET_PATH) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot use socket "${socket}": longer than ${String(MAX_SOCKET_PATH)} bytes`,
    )
  }
  return { runDir, stateDir, socket, logFile: join(stateDir, 'daemon.log') }
}
