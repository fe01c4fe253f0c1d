/**
 * The line of keys below the output of `up --menu`, as Docker Compose has it. It is taken away before each output and
 * drawn again after it, so that it stays the last line and is never part of what scrolls.
 */
import { spawnSync } from 'node:child_process'
import type { Output } from './output.ts'
import { createStyle } from './style.ts'

/** A key, what it is called, and what it does. */
export interface MenuKey {
  readonly key: string
  readonly title: string
  readonly press: () => void
}

export interface Menu {
  /** Where output goes while the menu is there. */
  readonly output: Pick<Output, 'write' | 'writeError'>
  /** Takes the menu away and gives the terminal back; may be called twice. */
  close(): void
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

/** Needs terminals on standard input and output. */
export function openMenu(output: Output, keys: readonly MenuKey[]): Menu {
  const { bold, dim } = createStyle(output.color)
  const limit = output.width() ?? Infinity
  const titles = keys.map(({ key, title }) => `${bold(key)} ${dim(title)}`)
  const plainLength = keys.map(({ key, title }) => `${key} ${title}`).join('   ').length
  // A menu that does not fit would wrap, and could not be taken away again.
  const line = plainLength < limit ? titles.join('   ') : keys.map(({ key }) => bold(key)).join(' ')
  let isOpen = true
  const around = (write: (text: string) => void) => (text: string) => {
    if (!isOpen) {
      write(text)
      return
    }
    output.write(CLEAR_LINE)
    write(text)
    output.write(line)
  }
  const onData = (bytes: Buffer): void => {
    for (const letter of bytes.toString('latin1'))
      keys.find(({ key }) => key === letter.toLowerCase())?.press()
  }
  const restore = readSingleKeys()
  const close = (): void => {
    if (!isOpen) return
    isOpen = false
    process.stdin.off('data', onData)
    process.stdin.destroy()
    output.write(CLEAR_LINE)
    restore()
    process.off('exit', close)
  }
  process.on('exit', close)
  process.stdin.on('data', onData)
  output.write(line)
  return { output: { write: around(output.write), writeError: around(output.writeError) }, close }
}
