/** exec and attach: connections that leave HTTP and speak frames (api/frames.ts). */
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex, Readable, Writable } from 'node:stream'
import { encodeFrame, FrameDecoder, FrameType, type Frame } from '../api/frames.ts'
import type { ExecRequest, Resize } from '../api/types.ts'
import type { OutputListener } from '../engine/container-io.ts'
import type { ExecSession } from '../engine/exec-session.ts'
import { openContainerExec } from '../reconciler/container-exec.ts'
import { emitContainerEvent } from '../reconciler/container-event.ts'
import type { Context } from '../reconciler/context.ts'
import { findContainer } from '../reconciler/find-container.ts'
import { listenToOutput } from '../reconciler/output-listeners.ts'
import { ERROR_CODES, TsstackError, toTsstackError } from '../errors.ts'
import { versionHeader, VERSION_HEADER } from '../version.ts'
import { attachedWriter, outputFrame } from './attached-output.ts'
import { execRequest, resize } from './request-schemas.ts'
import { parseBody } from './validate.ts'

const ROUTE = /^\/v1\/containers\/([^/?]+)\/(exec|attach)$/
/** A program that left children behind with its output open must not keep the session for ever. */
const DRAIN_MS = 500
/** How often it is looked whether a client is there that has to wait. */
const PROBE_MS = 1000
const SIGKILL = 9
const SIGHUP = 1

/** Takes over the upgrades of a server. */
export function acceptSessions(server: Server, context: Context): void {
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => {
      socket.destroy()
    })
    if (head.length > 0) socket.unshift(head)
    void openSession(context, request, socket).catch((error: unknown) => {
      refuse(socket, error)
    })
  })
}

async function openSession(
  context: Context,
  request: IncomingMessage,
  socket: Duplex,
): Promise<void> {
  const [, reference, kind] = ROUTE.exec(request.url ?? '') ?? []
  if (reference === undefined)
    throw new TsstackError('NOT_FOUND', `Cannot find ${request.url ?? ''}`)
  const { id } = findContainer(context, decodeURIComponent(reference))
  if (kind === 'attach') attach(context, id, socket)
  else await exec(context, id, { socket, request: readExecRequest(request) })
}

function readExecRequest(request: IncomingMessage): ExecRequest {
  try {
    const header = String(request.headers['x-tsstack-exec'] ?? '')
    return parseBody(execRequest, JSON.parse(Buffer.from(header, 'base64').toString('utf8')))
  } catch (error) {
    throw error instanceof TsstackError
      ? error
      : new TsstackError('INVALID_ARGUMENT', 'Cannot read the exec request: it is not JSON')
  }
}

/** Before the upgrade a failure is an ordinary HTTP answer. */
function refuse(socket: Duplex, error: unknown): void {
  const failure = toTsstackError(error)
  const body = JSON.stringify(failure.toBody())
  const head = [
    `HTTP/1.1 ${ERROR_CODES[failure.code].http} Error`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    `${VERSION_HEADER}: ${versionHeader()}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}

function accept(socket: Duplex): void {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: tsstack\r\n${VERSION_HEADER}: ${versionHeader()}\r\n\r\n`,
  )
}

interface FrameHandlers {
  readonly onInput: (bytes: Buffer) => void
  readonly onInputClosed: () => void
  readonly onResize: (size: Resize) => void
}

function readFrames(socket: Duplex, handlers: FrameHandlers): void {
  const decoder = new FrameDecoder()
  // Node's HTTP sockets stay half open; a client that only has no more input says so by a frame.
  socket.on('end', () => {
    socket.destroy()
  })
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const frame of decoder.push(chunk)) handleFrame(frame, handlers)
    } catch {
      socket.destroy() // not our protocol
    }
  })
}

function handleFrame({ type, payload }: Frame, handlers: FrameHandlers): void {
  if (type === FrameType.Stdin) handlers.onInput(payload)
  else if (type === FrameType.StdinClosed) handlers.onInputClosed()
  else if (type === FrameType.Resize)
    handlers.onResize(parseBody(resize, JSON.parse(payload.toString('utf8'))))
  else
    throw new TsstackError('INVALID_ARGUMENT', `Cannot take a frame of type ${type} from a client`)
}

interface ExecCall {
  readonly socket: Duplex
  readonly request: ExecRequest
}

async function exec(context: Context, id: string, { socket, request }: ExecCall): Promise<void> {
  const record = findContainer(context, id)
  const { command, tty, stdin, user, workingDir, environment, privileged, size } = request
  emitContainerEvent(context, record, `exec_create: ${command.join(' ')}`)
  const session = await openContainerExec(context, id, {
    command,
    tty,
    stdin,
    ...(user === undefined ? {} : { user }),
    ...(workingDir === undefined ? {} : { workingDir }),
    ...(environment === undefined ? {} : { environment }),
    ...(privileged === undefined ? {} : { privileged }),
    ...(size === undefined ? {} : { terminalSize: size }),
  })
  accept(socket)
  if (request.detach === true) {
    session.stdout.resume()
    session.stderr?.resume()
    socket.end(encodeFrame(FrameType.Exit, Buffer.from('{"exitCode":0}')))
    return
  }
  relayExec(session, socket)
  const status = await session.process.exited
  const exitCode = status?.exitCode ?? 0
  await drained(session)
  emitContainerEvent(context, record, 'exec_die', { exitCode: String(exitCode) })
  socket.end(encodeFrame(FrameType.Exit, Buffer.from(JSON.stringify({ exitCode }))))
}

function relayExec(session: ExecSession, socket: Duplex): void {
  relay(session.stdout, socket, FrameType.Stdout)
  if (session.stderr !== undefined) relay(session.stderr, socket, FrameType.Stderr)
  readFrames(socket, {
    onInput: inputWriter(() => session.stdin, socket),
    onInputClosed: () => {
      if (session.stderr !== undefined) session.stdin?.end()
    },
    onResize: ({ columns, rows }) => {
      session.resize(columns, rows)
    },
  })
  const hangUp = (): void => {
    // As a terminal that hangs up; what does not listen is killed.
    session.process.signal(SIGHUP)
    const timer = setTimeout(() => {
      session.process.signal(SIGKILL)
    }, 2000)
    timer.unref()
    void session.process.exited.then(() => {
      clearTimeout(timer)
    })
    session.stdin?.destroy()
  }
  // It may have gone while the program was being started, and said so when nobody listened.
  if (socket.destroyed || socket.readableEnded) hangUp()
  else socket.on('close', hangUp)
}

/** Of a program that does not read the client waits, too. */
function inputWriter(input: () => Writable | undefined, socket: Duplex): (bytes: Buffer) => void {
  let waitsFor: Writable | undefined
  let probe: NodeJS.Timeout | undefined
  const resume = (): void => {
    clearInterval(probe)
    waitsFor?.off('drain', resume).off('close', resume)
    waitsFor = undefined
    socket.resume()
  }
  socket.on('close', resume)
  return (bytes) => {
    const stdin = input()
    if (stdin === undefined || stdin.destroyed || stdin.write(bytes)) return
    if (waitsFor !== undefined) return
    waitsFor = stdin.on('drain', resume).on('close', resume)
    socket.pause()
    // Nothing is read from it now, its end neither: that the client has gone shows when it is written to.
    probe = setInterval(() => {
      if (socket.writableLength === 0) socket.write(encodeFrame(FrameType.Stdout, Buffer.alloc(0)))
    }, PROBE_MS)
  }
}

/** A slow client slows the program down, not the daemon's memory. */
function relay(from: Readable, socket: Duplex, type: FrameType): void {
  from.on('data', (bytes: Buffer) => {
    if (socket.destroyed) return
    if (socket.write(encodeFrame(type, bytes))) return
    from.pause()
    socket.once('drain', () => {
      from.resume()
    })
  })
  socket.on('close', () => {
    from.resume()
  })
}

async function drained({ stdout, stderr }: ExecSession): Promise<void> {
  const streams = [stdout, ...(stderr === undefined ? [] : [stderr])]
  const closed = Promise.all(
    streams.map((stream) =>
      stream.closed ? Promise.resolve() : new Promise((resolve) => stream.once('close', resolve)),
    ),
  )
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise((resolve) => {
    timer = setTimeout(resolve, DRAIN_MS)
  })
  await Promise.race([closed, timeout])
  clearTimeout(timer)
  for (const stream of streams) stream.destroy()
}

function attach(context: Context, id: string, socket: Duplex): void {
  accept(socket)
  // The input of `run` is that of its client. A service's goes on when somebody who was attached to it has no more to say.
  const endInput = (): void => {
    if (context.containers.get(id)?.config.oneoff === true) context.live.get(id)?.io.endInput()
  }
  const send = attachedWriter(socket)
  const listener: OutputListener = (stream, bytes) => {
    send(outputFrame(stream, bytes))
  }
  const finish = (): void => {
    detach()
    const exitCode = context.containers.get(id)?.exitCode ?? 0
    socket.end(encodeFrame(FrameType.Exit, Buffer.from(JSON.stringify({ exitCode }))))
  }
  const removeListener = listenToOutput(context, id, listener)
  const unsubscribe = context.events.subscribe((event) => {
    if (event.id === id && event.action === 'die') finish()
  })
  const detach = (): void => {
    removeListener()
    unsubscribe()
  }
  socket.on('close', () => {
    detach()
    endInput()
  })
  readFrames(socket, {
    onInput: inputWriter(() => context.live.get(id)?.io.input, socket),
    onInputClosed: endInput,
    onResize: ({ columns, rows }) => {
      context.live.get(id)?.io.resize(columns, rows)
    },
  })
  const { state } = findContainer(context, id)
  if (state === 'exited' || state === 'dead') finish()
}
