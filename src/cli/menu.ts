/**
 * The line of keys below the output of `up --menu`, as Docker Compose has it. It is taken away before each output and
 * drawn again after it, so that it stays the last line and is never part of what scrolls.
 */
import { spawnSync } from 'node:child_process'
import type { Output } from './output.ts'
import { createStyle } from './style.ts'

/** A key, what it is called now, and what it does. */
export interface MenuKey {
  readonly key: string
  readonly title: () => string
  readonly press: () => void
}

/** A terminal that can have a menu. */
export interface MenuScreen {
  /** Everything that is shown has to go through it: as the terminal's own as long as there is no menu. */
  readonly output: Output
  /** @returns takes the menu away and gives the terminal back; may be called twice */
  open(keys: readonly MenuKey[]): () => void
}

/** Begin of the line, and cleared to its end (ECMA-48: EL). */
const CLEAR_LINE = '\r\u001b[K'

/** Keys come one by one and are not shown; Ctrl-C stays what it is. By stty(1), as in terminal-session.ts. */
function readSingleKeys(): () => void {
  const { stdout, status } = spawnSync('stty', ['-g'], {
    stdio: ['inherit', 'pipe', 'ignore'],
    encoding: 'utf8',
  })
  if (status !== 0) return () => undefined
  const stty = (...modes: readonly string[]): void => {
    spawnSync('stty', modes, { stdio: ['inherit', 'ignore', 'ignore'] })
  }
  stty('-icanon', '-echo')
  return () => {
    stty(stdout.trim())
  }
}

/** The line of keys, as wide as the terminal allows: one that wraps could not be taken away again. */
function lineOf(output: Output, keys: readonly MenuKey[]): string {
  const { bold, dim } = createStyle(output.color)
  const plainLength = keys.map(({ key, title }) => `${key} ${title()}`).join('   ').length
  return plainLength < (output.width() ?? Infinity)
    ? keys.map(({ key, title }) => `${bold(key)} ${dim(title())}`).join('   ')
    : keys.map(({ key }) => bold(key)).join(' ')
}

/** Needs terminals on standard input and output. */
export function menuScreen(output: Output): MenuScreen {
  let keys: readonly MenuKey[] | undefined
  const around = (write: (text: string) => void) => (text: string) => {
    if (keys !== undefined) output.write(CLEAR_LINE)
    write(text)
    if (keys !== undefined) output.write(lineOf(output, keys))
  }
  return {
    output: {
      ...output,
      write: around(output.write),
      line: around(output.line),
      note: around(output.note),
      writeError: around(output.writeError),
    },
    open(shown) {
      const onData = (bytes: Buffer): void => {
        for (const letter of bytes.toString('latin1'))
          shown.find(({ key }) => key === letter.toLowerCase())?.press()
      }
      const restore = readSingleKeys()
      const close = (): void => {
        if (keys === undefined) return
        keys = undefined
        process.stdin.off('data', onData)
        process.stdin.destroy()
        output.write(CLEAR_LINE)
        restore()
        process.off('exit', close)
      }
      keys = shown
      process.on('exit', close)
      process.stdin.on('data', onData)
      output.write(lineOf(output, shown))
      return close
    },
  }
}
