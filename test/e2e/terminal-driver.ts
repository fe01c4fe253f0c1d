/** A real terminal, by tmux(1): a shell in a window of a known size, beside the daemon, whose screen can be read. */
import path from 'node:path'
import { execa } from 'execa'
import type { DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const PROGRAM = path.join(import.meta.dirname, '../../tsstack')

export interface TerminalSize {
  readonly columns: number
  readonly rows: number
}

export interface Terminal {
  /** Types a line, and the return key. */
  enter(line: string): Promise<void>
  /** Presses one key by tmux's name: `C-c`, `d`, `Enter`. */
  press(key: string): Promise<void>
  resize(size: TerminalSize): Promise<void>
  /** The lines on the screen as they are seen; with `joined`, those that the terminal had to wrap are one. */
  screen(options?: { readonly joined?: boolean }): Promise<string>
  /** @throws {Error} with the screen, unless it comes to fit */
  until(pattern: RegExp): Promise<void>
  close(): Promise<void>
}

/** `$ tsstack …` works in it, in that directory. */
export async function openTerminal(
  daemon: DaemonFixture,
  directory: string,
  { columns, rows }: TerminalSize,
): Promise<Terminal> {
  const socket = path.join(daemon.scratch, `tmux-${String(columns)}-${String(Date.now())}`)
  const tmux = async (...words: readonly string[]): Promise<string> =>
    (await execa('tmux', ['-u', '-f', '/dev/null', '-S', socket, ...words])).stdout
  const variables = {
    TSSTACK_RUN_DIR: daemon.runDir,
    TSSTACK_STATE_DIR: daemon.stateDir,
    TSSTACK_CGROUP_PARENT: daemon.cgroupParent,
    PS1: '$ ',
    PATH: `${path.dirname(PROGRAM)}:${process.env['PATH'] ?? ''}`,
  }
  // Not by -e: tmux gives its windows a PATH of its own.
  const settings = Object.entries(variables).map(([name, value]) => `${name}=${value}`)
  const size = ['-x', String(columns), '-y', String(rows)]
  const shell = ['nsenter', `--net=${daemon.netns}`, 'env', ...settings, 'sh']
  await tmux('new-session', '-d', '-s', 'test', '-c', directory, ...size, ...shell)

  const screen: Terminal['screen'] = async ({ joined = false } = {}) => {
    const text = await tmux('capture-pane', '-p', '-t', 'test', ...(joined ? ['-J'] : []))
    return text.replaceAll(/ +$/gm, '').trimEnd()
  }
  return {
    screen,
    enter: async (line) => {
      await tmux('send-keys', '-t', 'test', '-l', line)
      await tmux('send-keys', '-t', 'test', 'Enter')
    },
    press: async (key) => {
      await tmux('send-keys', '-t', 'test', key)
    },
    resize: async (wanted) => {
      const changed = ['-x', String(wanted.columns), '-y', String(wanted.rows)]
      await tmux('resize-window', '-t', 'test', ...changed)
    },
    until: async (pattern) => {
      let seen = ''
      await eventually(`${String(pattern)} on the screen`, async () => {
        seen = await screen()
        return pattern.test(seen)
      }).catch((error: unknown) => {
        throw new Error(`${String(error)}; it is:\n${seen}`)
      })
    },
    close: async () => {
      await tmux('kill-server')
    },
  }
}
