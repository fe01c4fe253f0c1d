/** The daemon's side of a terminal. */
import { ReadStream } from 'node:tty'
import { setTerminalSize } from './device-tree.ts'

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
      if (!stream.destroyed) setTerminalSize(masterFd, { columns, rows })
    },
    close() {
      stream.destroy()
    },
  }
}
