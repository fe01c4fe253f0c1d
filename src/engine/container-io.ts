/**
 * Standard input and output of a container. Without a terminal they are fifos in the container's directory, so that the
 * next daemon finds them again:
 *
 *   <directory>/stdout  stderr  stdin      fifos, owned by the container's user (it may open /dev/stdout again)
 *   <directory>/stdout.cursor …            how far the log is, see logs/pipe-log.ts
 *   <directory>/json.log*                  the log, see logs/log-file.ts
 */
import { chownSync, closeSync, existsSync, openSync, rmSync } from 'node:fs'
import { Socket } from 'node:net'
import path from 'node:path'
import type { Writable } from 'node:stream'
import { AT_FDCWD, Open } from '../kernel/constants.ts'
import { syscall } from '../kernel/libc.ts'
import type { FdScope } from '../kernel/fd-scope.ts'
import { LogFile, type LogBounds } from './logs/log-file.ts'
import type { LogStream } from './logs/log-format.ts'
import { PipeLog } from './logs/pipe-log.ts'
import { TerminalLog } from './logs/terminal-log.ts'
import { openTerminalIo, type TerminalIo } from './terminal-io.ts'

export type OutputListener = (stream: LogStream, bytes: Buffer) => void

export interface ContainerIo {
  readonly log: LogFile
  /** What has to stay open while no daemon is there, by name. */
  readonly descriptors: Readonly<Record<string, number>>
  /** Calls back with output as it comes; call the result to stop. */
  onOutput(listener: OutputListener): () => void
  /** Its standard input; absent when it has none that is open. */
  readonly input?: Writable
  /** End of file on standard input. */
  endInput(): void
  resize(columns: number, rows: number): void
  /** Takes what is left of the output and lets go. Safe to call twice. */
  close(): void
}

const S_IFIFO = 0o010000

export interface IoOptions {
  readonly directory: string
  readonly bounds: LogBounds
  readonly stdinOpen: boolean
}

/** Makes the fifos, or uses those that are there. Call before each start. */
export function prepareFifos(
  options: IoOptions,
  owner: { readonly uid: number; readonly gid: number },
): void {
  for (const name of ['stdout', 'stderr', ...(options.stdinOpen ? ['stdin'] : [])]) {
    const fifo = path.join(options.directory, name)
    if (!existsSync(fifo)) syscall('mknodat', AT_FDCWD, fifo, S_IFIFO | 0o600, 0)
    chownSync(fifo, owner.uid, owner.gid)
  }
  if (!options.stdinOpen) rmSync(path.join(options.directory, 'stdin'), { force: true })
}

/** Starts reading the fifos into the log. */
export function openPipeIo(options: IoOptions): ContainerIo {
  const { directory } = options
  const log = new LogFile(directory, options.bounds)
  const listeners = new Set<OutputListener>()
  const openPipe = (stream: LogStream): PipeLog =>
    new PipeLog({
      fifo: path.join(directory, stream),
      cursor: path.join(directory, `${stream}.cursor`),
      stream,
      log,
      onOutput: (bytes) => {
        for (const listener of listeners) listener(stream, bytes)
      },
    })
  const opened: { close(): void }[] = [log]
  const openNext = (stream: LogStream): PipeLog => {
    try {
      const pipe = openPipe(stream)
      opened.unshift(pipe)
      return pipe
    } catch (error) {
      for (const one of opened) one.close() // a full disk refuses the second as well as the first
      throw error
    }
  }
  const [stdout, stderr] = [openNext('stdout'), openNext('stderr')]
  const input = options.stdinOpen ? openInput(path.join(directory, 'stdin')) : undefined
  let open = true
  return {
    log,
    descriptors: {
      stdout: stdout.descriptor,
      stderr: stderr.descriptor,
      ...(input === undefined ? {} : { stdin: input.fd }),
    },
    onOutput: (listener) => subscribe(listeners, listener),
    ...(input === undefined ? {} : { input: input.socket }),
    endInput: () => {
      input?.socket.end()
    },
    resize: () => undefined,
    close() {
      if (!open) return
      open = false
      stdout.close()
      stderr.close()
      input?.socket.destroy()
      log.close()
    },
  }
}

function subscribe(listeners: Set<OutputListener>, listener: OutputListener): () => void {
  listeners.add(listener)
  return () => {
    listeners.delete(listener)
  }
}

/** The writing end. A fifo can be opened for writing only while somebody reads it, so a reader of our own helps for a moment. */
function openInput(fifo: string): { readonly fd: number; readonly socket: Socket } {
  const helper = openSync(fifo, Open.RDWR | Open.NONBLOCK | Open.CLOEXEC)
  try {
    const fd = openSync(fifo, Open.WRONLY | Open.NONBLOCK | Open.CLOEXEC)
    const socket = new Socket({ fd, readable: false, writable: true })
    socket.on('error', () => {
      socket.destroy()
    }) // the reader is gone
    return { fd, socket }
  } finally {
    closeSync(helper)
  }
}

/** The container's own ends of the fifos, in the order of the descriptors 0, 1, 2. */
export function openContainerEnds(options: IoOptions, scope: FdScope): [number, number, number] {
  const end = (name: string, flags: number): number =>
    scope.add(openSync(path.join(options.directory, name), flags | Open.CLOEXEC))
  const stdin = options.stdinOpen
    ? end('stdin', Open.RDONLY | Open.NONBLOCK)
    : scope.add(openSync('/dev/null', Open.RDWR | Open.CLOEXEC))
  if (options.stdinOpen) syscall('fcntl', stdin, F_SETFL, Open.RDONLY) // the program expects a blocking one
  return [stdin, end('stdout', Open.WRONLY), end('stderr', Open.WRONLY)]
}

const F_SETFL = 4

/** Reads a terminal's master side into the log. */
export function openTtyIo(masterFd: number, options: IoOptions): ContainerIo {
  const terminal: TerminalIo = openTerminalIo(masterFd) // first: the one that may be refused
  const log = new LogFile(options.directory, options.bounds)
  const listeners = new Set<OutputListener>()
  const recorder = new TerminalLog(log)
  terminal.stream.on('data', (bytes: Buffer) => {
    for (const listener of listeners) listener('stdout', bytes)
    recorder.add(bytes)
  })
  let open = true
  return {
    log,
    descriptors: { terminal: masterFd },
    onOutput: (listener) => subscribe(listeners, listener),
    input: terminal.stream,
    endInput: () => undefined, // a terminal's end of file is a character that is typed
    resize: (columns, rows) => {
      terminal.resize(columns, rows)
    },
    close() {
      if (!open) return
      open = false
      terminal.close()
      recorder.close()
      log.close()
    },
  }
}
