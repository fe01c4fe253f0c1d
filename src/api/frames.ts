/**
 * The frames of exec and attach, after the upgrade. Five bytes of header, then the payload:
 *
 *   +--------+----------------------+-----------+
 *   | type 1 | length 4, big-endian | payload … |
 *   +--------+----------------------+-----------+
 *
 *   client -> daemon   0 stdin bytes   3 resize (JSON Resize)   4 stdin closed (empty)
 *   daemon -> client   1 stdout bytes  2 stderr bytes           5 exit (JSON { exitCode })   6 error (JSON ErrorBody)
 *
 * After 5 or 6 the daemon closes. A frame longer than MAX_FRAME_BYTES, or of an unknown type, ends the connection.
 */
import { TsstackError } from '../errors.ts'

export const FrameType = {
  Stdin: 0,
  Stdout: 1,
  Stderr: 2,
  Resize: 3,
  StdinClosed: 4,
  Exit: 5,
  Error: 6,
} as const
export type FrameType = (typeof FrameType)[keyof typeof FrameType]

export interface Frame {
  readonly type: FrameType
  readonly payload: Buffer
}

const HEADER_BYTES = 5
export const MAX_FRAME_BYTES = 1 << 20

export function encodeFrame(type: FrameType, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length)
  frame.writeUInt8(type, 0)
  frame.writeUInt32BE(payload.length, 1)
  frame.set(payload, HEADER_BYTES)
  return frame
}

/** Cuts a byte stream into frames; keeps what is incomplete until more arrives. */
export class FrameDecoder {
  #rest: Buffer = Buffer.alloc(0)

  /** @throws {INVALID_ARGUMENT} on an unknown type or an oversized frame */
  push(chunk: Buffer): Frame[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const frames: Frame[] = []
    for (;;) {
      if (this.#rest.length < HEADER_BYTES) return frames
      const type = this.#rest.readUInt8(0)
      const length = this.#rest.readUInt32BE(1)
      if (type > FrameType.Error || length > MAX_FRAME_BYTES) {
        throw new TsstackError(
          'INVALID_ARGUMENT',
          `Cannot read frame: type ${type}, length ${length}`,
        )
      }
      if (this.#rest.length < HEADER_BYTES + length) return frames
      frames.push({
        type: type as FrameType,
        payload: this.#rest.subarray(HEADER_BYTES, HEADER_BYTES + length),
      })
      this.#rest = this.#rest.subarray(HEADER_BYTES + length)
    }
  }
}
