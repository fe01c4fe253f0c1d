import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LogLine, ProgressEvent } from '../../src/api/types.ts'
import { COMMANDS } from '../../src/cli/command-table.ts'
import { didYouMean } from '../../src/cli/did-you-mean.ts'
import { parseEnvironment } from '../../src/cli/environment-flags.ts'
import { formatError } from '../../src/cli/error-text.ts'
import { formatCommandHelp } from '../../src/cli/help.ts'
import { createLogCursor } from '../../src/cli/log-cursor.ts'
import { createLogPrinter } from '../../src/cli/log-printer.ts'
import { paintPlan } from '../../src/cli/paint-plan.ts'
import { jsonLine, plainLine } from '../../src/cli/progress.ts'
import { normalizeName, plainName } from '../../src/cli/stack-name.ts'
import { createStyle } from '../../src/cli/style.ts'
import { TsstackError } from '../../src/errors.ts'
import { VERSION } from '../../src/version.ts'

const ROOT = join(import.meta.dirname, '..', '..')

describe('help', () => {
  test.each(Object.keys(COMMANDS))('of %s fits 80 columns and has an example', async (name) => {
    const entry = COMMANDS[name]
    if (entry === undefined) throw new Error('no such command')
    const command = await entry.load()
    const text = formatCommandHelp(name, command)
    expect(text.split('\n').filter((line) => line.length > 80)).toEqual([])
    expect(text).toContain(`Usage:  tsstack ${name}`)
    expect(command.examples[0]?.[0]).toMatch(/^tsstack /)
  })

  test.each(Object.keys(COMMANDS))('of %s has no flag twice', async (name) => {
    const flags = (await COMMANDS[name]?.load())?.flags ?? []
    const spellings = flags.flatMap(({ name: long, short, words = ['*'] }) =>
      [long, ...(short === undefined ? [] : [short])].flatMap((spelling) =>
        words.map((word) => `${word} ${spelling}`),
      ),
    )
    expect(spellings).toEqual([...new Set(spellings)])
    const everywhere = spellings.filter((text) => text.startsWith('*')).map((text) => text.slice(2))
    for (const { name: long, short, words } of flags)
      if (words !== undefined)
        expect([long, short].map((text) => everywhere.includes(text ?? ''))).not.toContain(true)
  })
})

test.each([
  ['image', 'prune', '-f, --force             Do not ask\n'],
  ['gitops', 'rm', '      --down  Bring its stack down, too; volumes stay\n'],
  ['gitops', 'sync', 'Usage:  tsstack gitops sync [--force] NAME\n'],
])('help of %s %s has its own flags, and what they mean there', async (name, word, expected) => {
  const command = await COMMANDS[name]?.load()
  if (command === undefined) throw new Error('no such command')
  const text = formatCommandHelp(name, command, word)
  expect(text).toContain(expected)
  expect(text).not.toContain('--repo')
})

test('help of a command with words lists them', async () => {
  const command = await COMMANDS['gitops']?.load()
  if (command === undefined) throw new Error('no such command')
  const text = formatCommandHelp('gitops', command)
  expect(text).toContain('\n  approve  Let the change that waits be made\n')
  expect(text).not.toContain('Options:')
})

test('VERSION is that of package.json', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    version: string
  }
  expect(VERSION).toBe(version)
})

test.each([
  ['pss', ['ps', 'up'], '; did you mean "ps"?'],
  ['resart', ['restart', 'start'], '; did you mean "restart"?'],
  ['down', ['up', 'ps'], ''],
  ['ver', ['version', 'up'], '; did you mean "version"?'],
  ['x'.repeat(100_000), ['up'], ''],
])('didYouMean("%.10s") among %j is "%s"', (word, known, answer) => {
  expect(didYouMean(word, known)).toBe(answer)
})

describe('formatError()', () => {
  test('shows message, causes and hint, and no stack', () => {
    const cause = new Error('ENOENT: no such file', { cause: new Error('deeper') })
    const error = new TsstackError('NOT_FOUND', 'Cannot read "x": not there', {
      cause,
      hint: 'make it',
    })
    expect(formatError(error, createStyle(false))).toBe(
      'error: Cannot read "x": not there\ncause: ENOENT: no such file\ncause: deeper\nhint: make it',
    )
  })

  test('does not repeat a cause that the message has, and ends on a ring of causes', () => {
    const cause = new Error('same')
    cause.cause = cause
    expect(
      formatError(new TsstackError('INTERNAL', 'failed: same', { cause }), createStyle(false)),
    ).toBe('error: failed: same')
  })

  test('wraps what is no TsstackError', () => {
    expect(formatError('text', createStyle(false))).toBe('error: text')
  })
})

describe('progress lines', () => {
  const event: Extract<ProgressEvent, { type: 'operation' }> = {
    type: 'operation',
    id: 1,
    resource: 'container',
    name: 'hello-front-1',
    action: 'Created',
    status: 'done',
  }

  test("plainLine() is Docker Compose's", () => {
    expect(plainLine(event)).toBe(' Container hello-front-1 Created')
    expect(plainLine({ ...event, status: 'failed', action: 'Creating', detail: 'no image' })).toBe(
      ' Container hello-front-1 Error no image',
    )
  })

  test("jsonLine() is Docker Compose's", () => {
    expect(JSON.parse(jsonLine(event))).toEqual({
      id: 'Container hello-front-1',
      status: 'Done',
      text: 'Created',
    })
  })
})

function line(container: string, text: string, change: Partial<LogLine> = {}): LogLine {
  return {
    type: 'log',
    container,
    service: 'x',
    number: 1,
    stream: 'stdout',
    time: '2026-01-01T00:00:00.000000001Z',
    line: text,
    ...change,
  }
}

describe('createLogPrinter()', () => {
  const print = (options: object, lines: readonly LogLine[]): { out: string; err: string } => {
    const written = { out: '', err: '' }
    const printer = createLogPrinter(
      { stack: 'hello', prefix: true, timestamps: false, color: false, ...options },
      {
        write: (text) => {
          written.out += text
        },
        writeError: (text) => {
          written.err += text
        },
      },
    )
    printer.register('hello-api-1')
    printer.register('hello-worker-1')
    printer.print(lines)
    return written
  }

  test('aligns prefixes, without the name of the stack', () => {
    expect(
      print({}, [line('hello-api-1', 'a'), line('hello-worker-1', 'b'), line('own', 'c')]).out,
    ).toBe('api-1     | a\nworker-1  | b\nown       | c\n')
  })

  test('leaves prefixes out, and puts times in', () => {
    expect(print({ prefix: false, timestamps: true }, [line('hello-api-1', 'a')]).out).toBe(
      '2026-01-01T00:00:00.000000001Z a\n',
    )
  })

  test('gives each container its colour', () => {
    const { out } = print({ color: true }, [line('hello-api-1', 'a'), line('hello-worker-1', 'b')])
    expect(out).toBe('\u001b[36mapi-1     | \u001b[0ma\n\u001b[33mworker-1  | \u001b[0mb\n')
  })

  test('keeps the streams apart when told to', () => {
    const lines = [
      line('hello-api-1', 'a'),
      line('hello-api-1', 'b', { stream: 'stderr' }),
      line('hello-api-1', 'c'),
    ]
    expect(print({ splitStreams: true }, lines)).toEqual({
      out: 'api-1     | a\napi-1     | c\n',
      err: 'api-1     | b\n',
    })
    expect(print({}, lines).err).toBe('')
  })
})

test('createLogCursor() lets each line through once, though read twice', () => {
  const cursor = createLogCursor()
  const at = (container: string, second: number, text: string): LogLine =>
    line(container, text, { time: `2026-01-01T00:00:0${String(second)}.000000000Z` })
  const first = [at('a', 1, '1'), at('a', 2, '2'), at('b', 1, '3'), at('a', 2, '4')]
  expect(cursor.fresh(first)).toEqual(first)
  cursor.rewind()
  const more = [at('a', 2, 'same time, new'), at('a', 3, '5'), at('b', 2, '6'), at('c', 1, '7')]
  expect(cursor.fresh([...first, ...more])).toEqual(more)
})

test.each([
  ['name: shop\nservices: {}\n', { kind: 'name', name: 'shop' }],
  ['# name: x\nservices:\n  name: y\n', { kind: 'none' }],
  ['name: shop # the shop\r\n', { kind: 'name', name: 'shop' }],
  ['name: "shop"\n', { kind: 'unclear' }],
  ['name: ${X}\n', { kind: 'unclear' }],
  ['name:\n  shop\n', { kind: 'unclear' }],
  ['name: Shop\n', { kind: 'unclear' }],
  ['{name: shop}\n', { kind: 'unclear' }],
  ['"name": shop\n', { kind: 'unclear' }],
  ['---\nname: shop\n', { kind: 'unclear' }],
  ['<<: *x\n', { kind: 'unclear' }],
  ['name: a\nname: b\n', { kind: 'unclear' }],
  ['name: a\n  b\n', { kind: 'unclear' }],
  ['', { kind: 'none' }],
])('plainName(%j) is %j', (text, name) => {
  expect(plainName(text)).toEqual(name)
})

test.each([
  ['My.Shop', 'myshop'],
  ['_-x-_', 'x-_'],
  ['Ünï', 'n'],
])('normalizeName("%s") is "%s"', (text, name) => {
  expect(normalizeName(text)).toBe(name)
})

test('parseEnvironment() takes what has no value from here', () => {
  expect(parseEnvironment(['A=1=2', 'B', 'C', 'D='], { B: 'b' })).toEqual({
    A: '1=2',
    B: 'b',
    D: '',
  })
  expect(() => parseEnvironment(['=x'], {})).toThrow('expected KEY=VALUE')
})

test('paintPlan() colours by sign, and nothing without colours', () => {
  const text = '+ network a\n-/+ container b\n- container c\nno change\n'
  expect(paintPlan(text, createStyle(false))).toBe(text)
  expect(
    paintPlan(text, createStyle(true))
      .split('\n')
      .map((part) => part.startsWith('\u001b')),
  ).toEqual([true, true, true, false, false])
})

describe('the wrapper', () => {
  let directory = ''
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsstack-wrapper-'))
    // The first run may have to bundle.
    execFileSync(join(ROOT, 'tsstack'), ['version', '--short'])
  }, 60_000)
  afterAll(() => {
    rmSync(directory, { recursive: true, force: true })
  })

  test('runs by any path, from any directory', () => {
    mkdirSync(join(directory, 'bin'))
    symlinkSync(join(ROOT, 'tsstack'), join(directory, 'bin', 'tsstack'))
    symlinkSync('bin/tsstack', join(directory, 'short'))
    for (const path of [join(ROOT, 'tsstack'), './bin/tsstack', './short']) {
      expect(execFileSync(path, ['version', '--short'], { cwd: directory, encoding: 'utf8' })).toBe(
        `${VERSION}\n`,
      )
    }
  })

  test('says what is wrong on standard error alone, with exit code 1', () => {
    const run = (args: readonly string[]): unknown => {
      const { status, stdout, stderr } = spawnSync(join(ROOT, 'tsstack'), args, {
        encoding: 'utf8',
        cwd: directory,
      })
      return { status, stdout, stderr }
    }
    expect(run(['pss'])).toEqual({
      status: 1,
      stdout: '',
      stderr:
        'error: unknown command: "tsstack pss"; did you mean "ps"?\nhint: run "tsstack --help" for the list of commands\n',
    })
    expect(run(['ps', '--al'])).toMatchObject({
      status: 1,
      stderr: 'error: unknown flag: --al; did you mean "--all"?\n',
    })
    expect(run(['exec', 'web'])).toMatchObject({ status: 1, stdout: '' })
  })

  test('ends quietly when nobody reads', () => {
    const { stderr } = spawnSync('sh', ['-c', '"$0" --help | true', join(ROOT, 'tsstack')], {
      encoding: 'utf8',
    })
    expect(stderr).toBe('')
  })

  test('colours nothing that is not a terminal, unless told to', () => {
    writeFileSync(join(directory, 'x'), '')
    const run = (env: NodeJS.ProcessEnv): string =>
      spawnSync(join(ROOT, 'tsstack'), ['pss'], {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'], ...env },
      }).stderr
    expect(run({})).not.toContain('\u001b')
    expect(run({ FORCE_COLOR: '1' })).toContain('\u001b[31merror:')
    expect(run({ FORCE_COLOR: '1', NO_COLOR: '1' })).not.toContain('\u001b')
  })
})
