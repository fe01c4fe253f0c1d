import type { Socket } from 'node:net'
import { encodeFrame, FrameDecoder, FrameType } from '../api/frames.ts'
import type { Frame } from '../api/frames.ts'
import type { Resize } from '../api/types.ts'
import { TsstackError } from '../errors.ts'
import type { ErrorBody } from '../errors.ts'
import { flatten } from './flatten.ts'

interface SessionEvents {
  readonly onStdout: (bytes: Buffer) => void
  readonly onStderr: (bytes: Buffer) => void
}

/** Both ends of a program in a container: its standard streams in frames (src/api/frames.ts). */
export interface Session {
  /** @returns false when the socket is full; `onDrain` tells when to go on */
  write(bytes: Uint8Array): boolean
  onDrain(listener: () => void): void
  closeStdin(): void
  resize(size: Resize): void
  /** Reads until the program has ended. @throws {TsstackError} the daemon's error, or {UNAVAILABLE} */
  run(events: SessionEvents): Promise<{ readonly exitCode: number }>
  close(): void
}

function readExitCode(frame: Frame): number {
  const { exitCode } = JSON.parse(frame.payload.toString()) as { exitCode?: unknown }
  return typeof exitCode === 'number' ? exitCode : 1
}

function readError(frame: Frame): TsstackError {
  const body = JSON.parse(frame.payload.toString()) as ErrorBody
  return new TsstackError(
    body.code,
    body.message,
    body.hint === undefined ? {} : { hint: body.hint },
  )
}

async function* readFrames(socket: Socket, head: Buffer): AsyncGenerator<readonly Frame[], void> {
  const decoder = new FrameDecoder()
  yield decoder.push(head)
  for await (const chunk of socket as AsyncIterable<Buffer>) yield decoder.push(chunk)
}

/** Wraps an upgraded socket; `head` is what came with the answer. */
export function createSession(socket: Socket, head: Buffer): Session {
  socket.setNoDelay(true)
  const send = (type: FrameType, payload?: Uint8Array): boolean =>
    socket.writable && socket.write(encodeFrame(type, payload))

  return {
    write: (bytes) => send(FrameType.Stdin, bytes),
    onDrain: (listener) => {
      socket.on('drain', listener)
    },
    closeStdin: () => {
      send(FrameType.StdinClosed)
    },
    resize: (size) => {
      send(FrameType.Resize, Buffer.from(JSON.stringify(size)))
    },
    close: () => {
      socket.destroy()
    },

    async run(events) {
      /** @returns the exit code when the frame is the last one */
      const handle = (frame: Frame): number | undefined => {
        if (frame.type === FrameType.Stdout) events.onStdout(frame.payload)
        else if (frame.type === FrameType.Stderr) events.onStderr(frame.payload)
        else if (frame.type === FrameType.Exit) return readExitCode(frame)
        else if (frame.type === FrameType.Error) throw readError(frame)
        return undefined
      }
      try {
        for await (const frame of flatten(readFrames(socket, head))) {
          const exitCode = handle(frame)
          if (exitCode !== undefined) return { exitCode }
        }
      } catch (error) {
        if (error instanceof TsstackError) throw error
        throw new TsstackError('UNAVAILABLE', 'Cannot follow the program: the daemon went away', {
          cause: error,
        })
      } finally {
        socket.destroy()
      }
      throw new TsstackError(
        'UNAVAILABLE',
        'Cannot follow the program: the daemon closed the connection',
      )
    },
  }
}
