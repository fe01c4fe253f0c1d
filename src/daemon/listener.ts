/**
 * The socket on which the daemon answers. It comes from one of three:
 *
 *   the daemon that this one has replaced in place      TSSTACK_INHERITED_SOCKET=fd,own|given
 *   a service manager that listened before it started   LISTEN_FDS, LISTEN_PID: descriptor 3 (man 3 sd_listen_fds)
 *   nobody: it is made here
 *
 * What connects while no daemon accepts waits in the socket's queue.
 */
import { chmodSync, chownSync, closeSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { once } from 'node:events'
import {
  duplicate,
  isListeningSocket,
  listenOnPath,
  widenQueue,
  setInheritable,
} from '../kernel/unix-socket.ts'
import { TsstackError } from '../errors.ts'

const FIRST_GIVEN = 3
const INHERITED = 'TSSTACK_INHERITED_SOCKET'

export interface Listener {
  /** Has a server take connections from it. */
  serve(server: Server): Promise<void>
  /** Lets a group use it, or nobody. What a service manager made is as it was told to make it. */
  allow(group: number | undefined): void
  /** What the program that this process becomes needs in its environment; the socket goes on to it. */
  inherit(): Record<string, string>
  /** Nobody can connect any more, unless a service manager goes on listening. */
  close(): void
}

/** @throws {SyscallError} when the path is taken or too long, {INVALID_ARGUMENT} when more than one socket was given */
export function openListener(path: string, environment: NodeJS.ProcessEnv): Listener {
  const { fd, isOwn } = takeGiven(environment) ?? { fd: makeSocket(path), isOwn: true }
  setInheritable(fd, false)
  return {
    async serve(server) {
      server.listen({ fd: duplicate(fd) }) // the server closes its own
      await once(server, 'listening')
      widenQueue(fd)
    },
    allow(group) {
      if (!isOwn) return
      chownSync(path, 0, group ?? 0)
      chmodSync(path, group === undefined ? 0o600 : 0o660)
    },
    inherit() {
      setInheritable(fd, true)
      return { [INHERITED]: `${fd},${isOwn ? 'own' : 'given'}` }
    },
    close() {
      if (isOwn) rmSync(path, { force: true })
      closeSync(fd)
    },
  }
}

interface Given {
  readonly fd: number
  readonly isOwn: boolean
}

/** Takes it out of the environment, too: it is not for those that the daemon starts. */
function takeGiven(environment: NodeJS.ProcessEnv): Given | undefined {
  const { [INHERITED]: inherited, LISTEN_FDS: count, LISTEN_PID: pid } = environment
  for (const name of [INHERITED, 'LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES'])
    Reflect.deleteProperty(environment, name)
  if (inherited !== undefined) {
    const [fd = '', origin] = inherited.split(',')
    return { fd: Number(fd), isOwn: origin === 'own' }
  }
  if (count === undefined || Number(pid) !== process.pid || Number(count) === 0) return undefined
  if (Number(count) === 1 && isListeningSocket(FIRST_GIVEN))
    return { fd: FIRST_GIVEN, isOwn: false }
  if (Number(count) === 1)
    throw new TsstackError(
      'FAILED_PRECONDITION',
      'Cannot take the socket of LISTEN_FDS: descriptor 3 is none',
      {
        hint: 'Start the daemon as "tsstack daemon run", without options',
      },
    )
  throw new TsstackError('INVALID_ARGUMENT', `Cannot listen on ${count} sockets: expected one`, {
    hint: 'Write one ListenStream= in the socket unit',
  })
}

/** What an earlier daemon left at the path listens no more: the caller holds the lock. */
function makeSocket(path: string): number {
  rmSync(path, { force: true })
  return listenOnPath(path)
}
