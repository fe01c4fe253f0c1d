/** The command line on a real terminal: progress, foreground, Ctrl-C, sessions that follow its size, the menu. */
import { existsSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { newProject, leftOf, type CommandLine } from './command-line.ts'
import { openTerminal, type Terminal, type TerminalSize } from './terminal-driver.ts'

const hasTmux = existsSync('/usr/bin/tmux')

const STACK = `
name: terminal
services:
  talker:
    image: host:sh,coreutils
    init: true
    command: sh -c 'echo hello from the talker; exec sleep infinity'
  stubborn:
    image: host:sh,coreutils
    command: sh -c 'trap "echo I heard it" TERM; while :; do sleep 0.1; done'
    stop_grace_period: 10m
    profiles: [stubborn]
`

let daemon: DaemonFixture
let tsstack: CommandLine

async function withTerminal(
  size: TerminalSize,
  body: (terminal: Terminal) => Promise<void>,
): Promise<void> {
  const terminal = await openTerminal(daemon, tsstack.directory, size)
  try {
    await body(terminal)
    await expectRestored(terminal)
  } finally {
    await terminal.close()
    await tsstack.run('--profile * down -v -t 0 --remove-orphans')
  }
  expect(await leftOf(daemon)).toEqual([])
}

/** Lines are edited and shown again, as the shell had it. */
async function expectRestored(terminal: Terminal): Promise<void> {
  await terminal.enter(
    "clear; stty -a | tr ' ;' '\\n\\n' | grep -xE -- '-?(icanon|echo|isig|opost)' | xargs echo modes:",
  )
  await terminal.until(/^modes: .*\w$/m)
  const [modes = ''] = /^modes: .*$/m.exec(await terminal.screen()) ?? []
  expect(modes.split(' ').slice(1).sort()).toEqual(['echo', 'icanon', 'isig', 'opost'])
}

/** Of the outer shell, waiting: what is typed before that goes to the program that is just ending. */
const PROMPT = /(?:\n|\^C)\$$/

const SIZES: readonly TerminalSize[] = [
  { columns: 80, rows: 24 },
  { columns: 60, rows: 20 },
]

describe.skipIf(!hasTmux)(
  `on a terminal${hasTmux ? '' : ' (skipped: tmux is not installed)'}`,
  () => {
    beforeAll(async () => {
      daemon = await startDaemonFixture()
      tsstack = newProject(daemon, 'terminal', { 'stack.yaml': STACK })
    })
    afterAll(async () => {
      await daemon.close()
    })

    test.each(SIZES)('progress, then output, then Ctrl-C at $columns columns', async (size) => {
      await withTerminal(size, async (terminal) => {
        await terminal.enter('tsstack up; echo code=$?')
        await terminal.until(/talker-1 +\| hello from the talker/)
        expect(await terminal.screen()).toContain('Container terminal-talker-1  Started')
        await terminal.press('C-c')
        await terminal.until(/^code=130$/m)
        const screen = await terminal.screen()
        expect(screen).toContain('Gracefully Stopping... press Ctrl+C again to force')
        expect(screen).toContain('talker-1 exited with code')
        expect(await terminal.screen({ joined: true })).toBe(screen) // no line was broken
      })
    })

    test.each(SIZES)('tables fit $columns columns', async (size) => {
      await withTerminal(size, async (terminal) => {
        await tsstack.ok('up -d')
        for (const [index, command] of ['ps', 'images', 'ls', 'stats --no-stream'].entries()) {
          await terminal.enter(`clear; tsstack ${command}; echo done-${String(index)}=$?`)
          await terminal.until(new RegExp(`^done-${String(index)}=0$`, 'm'))
          const screen = await terminal.screen()
          expect(screen).toMatch(/^terminal/m) // names are whole
          expect(await terminal.screen({ joined: true })).toBe(screen)
        }
      })
    })

    test('a second Ctrl-C kills what does not stop', async () => {
      await withTerminal({ columns: 80, rows: 24 }, async (terminal) => {
        await terminal.enter('tsstack up stubborn; echo code=$?')
        await terminal.until(/Attaching to stubborn-1/)
        await terminal.press('C-c')
        await terminal.until(/I heard it/)
        await terminal.press('C-c')
        await terminal.until(/Killing/)
        await terminal.until(/^code=130$/m)
        expect(await tsstack.ok('ps -q')).toBe('')
      })
    })

    test('exec has the size of the terminal, and follows it', async () => {
      await withTerminal({ columns: 80, rows: 24 }, async (terminal) => {
        await tsstack.ok('up -d')
        await terminal.enter("tsstack exec talker sh -c 'while :; do stty size; sleep 0.2; done'")
        await terminal.until(/^24 80$/m)
        await terminal.resize({ columns: 100, rows: 30 })
        await terminal.until(/^30 100$/m)
        await terminal.press('C-c')
        await terminal.until(PROMPT)
        await terminal.enter('echo code=$?')
        await terminal.until(/^code=130$/m)
      })
    })

    test('run is a shell to talk with, and returns its exit code', async () => {
      await withTerminal({ columns: 80, rows: 24 }, async (terminal) => {
        await terminal.enter('tsstack run --rm talker sh -i')
        await terminal.until(/# *$/)
        await terminal.enter('echo sum=$((20 + 3)); test -t 0 && exit 7')
        await terminal.until(/^sum=23$/m)
        await terminal.until(PROMPT)
        await terminal.enter('echo code=$?')
        await terminal.until(/^code=7$/m)
      })
    })

    test('a terminal without a size gets plain lines, and nothing is cut', async () => {
      await withTerminal({ columns: 80, rows: 24 }, async (terminal) => {
        const type = (words: string): Promise<void> =>
          terminal.enter(`clear; script -qec 'stty cols 0 rows 0; tsstack ${words}' /dev/null`)
        await type('up -d')
        await terminal.until(/^ Container terminal-talker-1 Started$/m)
        await terminal.until(PROMPT)
        await type('ls')
        await terminal.until(/^terminal +running\(1\) /m)
        await terminal.until(PROMPT)
      })
    })

    test('d in the menu leaves the containers running and returns', async () => {
      await withTerminal({ columns: 80, rows: 24 }, async (terminal) => {
        await terminal.enter('tsstack up --menu; echo code=$?')
        await terminal.until(/hello from the talker\nw Enable Watch {3}d Detach$/)
        await terminal.press('w')
        await terminal.until(/Watch enabled\nw Disable Watch {3}d Detach$/)
        await terminal.press('w')
        await terminal.until(/Watch disabled\nw Enable Watch {3}d Detach$/)
        await terminal.press('d')
        await terminal.until(/^code=0$/m)
        expect(await terminal.screen()).not.toContain('Detach')
        expect(await tsstack.ok('ps --format {{.State}}')).toBe('running')
      })
    })
  },
)
