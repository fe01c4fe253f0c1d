/** Joins a session with our own standard streams: raw mode, size, end of input; and gives the terminal back after it. */
import { spawnSync } from 'node:child_process'
import { ReadStream } from 'node:tty'
import type { Resize } from '../api/types.ts'
import type { Session } from '../client/session.ts'
import type { Flags } from './args.ts'
import { isTerminal, writeAll } from './output.ts'

export interface SessionOptions {
  readonly tty: boolean
  readonly stdin: boolean
}

/** What a session in a container is joined with. */
export interface Streams extends SessionOptions {
  /** With nothing: it goes on by itself. */
  readonly detach: boolean
}

/** By the flags that `exec` and `run` have in common; a terminal only where there is one on both sides. */
export function readStreams(flags: Flags): Streams {
  const isOff = (name: string): boolean => flags.has(name) && !flags.bool(name)
  const detach = flags.bool('detach')
  const isWanted = !flags.bool('no-tty') && !isOff('tty')
  return {
    detach,
    stdin: !detach && !isOff('interactive'),
    tty: !detach && isWanted && isTerminal(0) && isTerminal(1),
  }
}

/** Rows and columns of the terminal behind a descriptor, undefined when there is none. */
export function terminalSize(): Resize | undefined {
  const { columns, rows } = process.stdout.isTTY ? process.stdout : process.stderr
  return typeof columns === 'number' && typeof rows === 'number' && columns > 0
    ? { columns, rows }
    : undefined
}

function forwardInput(session: Session): () => void {
  const { stdin } = process
  const onData = (bytes: Buffer): void => {
    if (!session.write(bytes)) stdin.pause()
  }
  session.onDrain(() => {
    stdin.resume()
  })
  stdin.on('data', onData)
  stdin.on('end', () => {
    session.closeStdin()
  })
  stdin.on('error', () => {
    session.closeStdin()
  })
  return () => {
    stdin.off('data', onData)
    // A pipe or terminal that somebody still holds open must not keep us.
    stdin.destroy()
  }
}

/**
 * Puts the terminal into raw mode (cfmakeraw of termios(3)). By stty(1): Node's own raw mode leaves the translation of
 * newlines on, which breaks programs that move the cursor down with one.
 * @returns what gives it back as it was; may be called twice
 */
function makeRaw(): () => void {
  const before = spawnSync('stty', ['-g'], {
    stdio: ['inherit', 'pipe', 'ignore'],
    encoding: 'utf8',
  })
  const { stdin } = process
  if (before.status !== 0) {
    if (stdin instanceof ReadStream) stdin.setRawMode(true)
    return () => {
      if (stdin instanceof ReadStream) stdin.setRawMode(false)
    }
  }
  const stty = (...modes: readonly string[]): void => {
    spawnSync('stty', modes, { stdio: ['inherit', 'ignore', 'ignore'] })
  }
  stty('raw', '-echo')
  let restored = false
  return () => {
    if (!restored) stty(before.stdout.trim())
    restored = true
  }
}

/**
 * Runs until the program ends. With a terminal, ours is in raw mode meanwhile: Ctrl-C goes to the program.
 * @returns the program's exit code
 */
export async function runSession(session: Session, options: SessionOptions): Promise<number> {
  const raw = options.tty && options.stdin && isTerminal(0)
  const resize = (): void => {
    const size = terminalSize()
    if (size !== undefined) session.resize(size)
  }
  const restore = raw ? makeRaw() : () => undefined
  process.on('exit', restore)
  if (options.tty) process.on('SIGWINCH', resize)
  const stopInput = options.stdin ? forwardInput(session) : () => undefined
  if (!options.stdin) session.closeStdin()
  try {
    const { exitCode } = await session.run({
      onStdout: (bytes) => {
        writeAll(1, bytes)
      },
      onStderr: (bytes) => {
        writeAll(2, bytes)
      },
    })
    return exitCode
  } finally {
    stopInput()
    process.off('SIGWINCH', resize)
    restore()
    process.off('exit', restore)
  }
}
