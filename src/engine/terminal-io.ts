/** The daemon's side of a terminal. */
import { ReadStream } from 'node:tty'
import { Ioctl } from '../kernel/constants.ts'
import { trySyscall } from '../kernel/libc.ts'

export interface TerminalIo {
  /** What the program prints, and back to it what is typed. Ends when no process has the terminal any more. */
  readonly stream: ReadStream
  resize(columns: number, rows: number): void
  /** Safe to call twice. */
  close(): void
}

/** Takes over the descriptor of a terminal's master side. */
export function openTerminalIo(masterFd: number): TerminalIo {
  const stream = new ReadStream(masterFd)
  stream.on('error', () => {
    stream.destroy()
  }) // EIO: the last process has closed its side (man 4 pts)
  return {
    stream,
    resize(columns, rows) {
      const size = Buffer.from(new Uint16Array([rows, columns, 0, 0]).buffer) // struct winsize
      if (!stream.destroyed) trySyscall('ioctl', masterFd, Ioctl.TIOCSWINSZ, size)
    },
    close() {
      stream.destroy()
    },
  }
}
