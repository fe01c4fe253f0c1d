/** A program executed in a running container, with its standard streams on pipes or a terminal of the container's. */
import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { Open, O_DIRECTORY, AT_FDCWD } from '../kernel/constants.ts'
import { FdScope } from '../kernel/fd-scope.ts'
import { openConfined, RESOLVE } from '../kernel/file-calls.ts'
import { syscall } from '../kernel/libc.ts'
import { openPipe } from '../kernel/pipe.ts'
import { watchChild, type WatchedProcess } from '../kernel/process-watch.ts'
import { openTerminal, type TerminalSize } from './device-tree.ts'
import { execProcess, type ExecRequest } from './exec-process.ts'
import type { ProcessSpec } from './process-spec.ts'
import { openTerminalIo } from './terminal-io.ts'

export interface ExecSession {
  readonly process: WatchedProcess
  /** With a terminal everything comes on stdout. */
  readonly stdout: Readable
  readonly stderr?: Readable
  /** Absent unless asked for. */
  readonly stdin?: Writable
  resize(columns: number, rows: number): void
}

export interface ExecSessionRequest extends Omit<ExecRequest, 'process'> {
  readonly process: Omit<ProcessSpec, 'stdio'>
  readonly stdin: boolean
  /** Host ids of the container's root and of the user, for a terminal's ownership. */
  readonly terminalOwner: number
  readonly containerPid: number
  /** Of the terminal, from its first moment. */
  readonly terminalSize?: TerminalSize
}

/** @throws as execProcess */
export async function openExecSession(request: ExecSessionRequest): Promise<ExecSession> {
  return request.process.tty ? openWithTerminal(request) : openWithPipes(request)
}

async function openWithTerminal(request: ExecSessionRequest): Promise<ExecSession> {
  const scope = new FdScope()
  try {
    const root = scope.add(openContainerRoot(request.containerPid))
    const devpts = openConfined(root, '/dev/pts', {
      flags: Open.PATH | O_DIRECTORY,
      resolve: RESOLVE.IN_ROOT,
    })
    const { masterFd, slaveFd } = openTerminal(
      scope.add(devpts),
      request.terminalOwner,
      request.terminalSize,
    )
    scope.add(slaveFd)
    const terminal = openTerminalIo(masterFd)
    try {
      const stdio = [slaveFd, slaveFd, slaveFd] as const
      const process = watchChild(
        await execProcess({ ...request, process: { ...request.process, stdio } }),
      )
      return {
        process,
        stdout: terminal.stream,
        stdin: terminal.stream,
        resize: (columns, rows) => {
          terminal.resize(columns, rows)
        },
      }
    } catch (error) {
      terminal.close()
      throw error
    }
  } finally {
    scope.close()
  }
}

/** The container's root directory as a location; paths below it must be resolved with RESOLVE_IN_ROOT. */
export function openContainerRoot(pid: number): number {
  return openConfined(AT_FDCWD, `/proc/${pid}/root`, { flags: Open.PATH | O_DIRECTORY, resolve: 0 })
}

async function openWithPipes(request: ExecSessionRequest): Promise<ExecSession> {
  const theirs = new FdScope()
  const ours: number[] = []
  try {
    const [outRead, outWrite] = pipe(ours, theirs, 'read')
    const [errRead, errWrite] = pipe(ours, theirs, 'read')
    const [inWrite, inRead] = request.stdin ? pipe(ours, theirs, 'write') : [-1, openNull(theirs)]
    const stdio = [inRead, outWrite, errWrite] as const
    const process = watchChild(
      await execProcess({ ...request, process: { ...request.process, stdio } }),
    )
    ours.length = 0 // the streams own them now
    return {
      process,
      stdout: readable(outRead),
      stderr: readable(errRead),
      ...(request.stdin ? { stdin: writable(inWrite) } : {}),
      resize: () => undefined,
    }
  } finally {
    theirs.close()
    for (const fd of ours) closeSync(fd)
  }
}

/** @returns our end, their end */
function pipe(ours: number[], theirs: FdScope, weDo: 'read' | 'write'): [number, number] {
  const [readEnd, writeEnd] = openPipe()
  const [our, their] = weDo === 'read' ? [readEnd, writeEnd] : [writeEnd, readEnd]
  ours.push(our)
  theirs.add(their)
  return [our, their]
}

function openNull(scope: FdScope): number {
  return scope.add(syscall('openat', AT_FDCWD, '/dev/null', Open.RDWR | Open.CLOEXEC, 0))
}

function readable(fd: number): Socket {
  return quiet(new Socket({ fd, readable: true, writable: false }))
}

function writable(fd: number): Socket {
  return quiet(new Socket({ fd, readable: false, writable: true }))
}

/** A broken pipe ends the stream; it is no failure of the daemon. */
function quiet(socket: Socket): Socket {
  return socket.on('error', () => {
    socket.destroy()
  })
}
