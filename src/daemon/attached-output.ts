/**
 * Output for clients of attach. A container must not wait for them, so that what they have not read yet is kept for them;
 * who is too far behind is let go. All share one allowance: the more clients, the less far behind each may be.
 */
import type { Duplex } from 'node:stream'
import type { LogStream } from '../engine/logs/log-format.ts'
import { encodeFrame, FrameType } from '../api/frames.ts'

const TOTAL_BYTES = 32 << 20
const MOST_BYTES = 16 << 20
const LEAST_BYTES = 32 << 10
/** What Node needs for each write that waits, beside its bytes. */
const WRITE_BYTES = 512

let clients = 0
/** Output by the chunk that it came in: however many clients there are, they wait for the same bytes. */
const frames = new WeakMap<Buffer, Buffer>()

export function outputFrame(stream: LogStream, bytes: Buffer): Buffer {
  const known = frames.get(bytes)
  if (known !== undefined) return known
  const frame = encodeFrame(stream === 'stdout' ? FrameType.Stdout : FrameType.Stderr, bytes)
  frames.set(bytes, frame)
  return frame
}

/** @returns writes to a client as long as it keeps up */
export function attachedWriter(socket: Duplex): (frame: Buffer) => void {
  let behind = 0
  clients++
  socket.once('close', () => {
    clients--
  })
  return (frame) => {
    if (socket.destroyed) return
    const bytes = frame.length + WRITE_BYTES
    behind += bytes
    socket.write(frame, () => {
      behind -= bytes
    })
    if (behind > Math.max(LEAST_BYTES, Math.min(MOST_BYTES, TOTAL_BYTES / clients)))
      socket.destroy()
  }
}
