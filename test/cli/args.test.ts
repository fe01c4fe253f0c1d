import { describe, expect, test } from 'vitest'
import { parseArgs, splitAtCommand } from '../../src/cli/args.ts'
import type { Flag, Grammar } from '../../src/cli/args.ts'
import { GLOBAL_FLAGS } from '../../src/cli/global-options.ts'

const FLAGS: readonly Flag[] = [
  { name: 'detach', short: 'd', kind: 'bool', help: '' },
  { name: 'tty', short: 't', kind: 'bool', help: '' },
  { name: 'follow', short: 'f', kind: 'bool', help: '' },
  { name: 'tail', short: 'n', kind: 'text', help: '' },
  { name: 'env', short: 'e', kind: 'list', help: '' },
  { name: 'index', kind: 'integer', help: '' },
  { name: 'timeout', short: 'T', kind: 'seconds', help: '' },
  { name: 'mode', kind: 'text', choices: ['table', 'json'], help: '' },
]
const NAMES = FLAGS.map((flag) => flag.name)

function read(words: readonly string[], grammar: Partial<Grammar> = {}): unknown {
  const parsed = parseArgs(
    { flags: FLAGS, globals: GLOBAL_FLAGS, passthrough: false, ...grammar },
    words,
  )
  const names = [...NAMES, 'file', 'project-name'].filter((name) => parsed.flags.has(name))
  const values = names.map((name) => [
    name,
    parsed.flags.text(name) ??
      parsed.flags.number(name) ??
      (parsed.flags.list(name).length > 0 ? parsed.flags.list(name) : parsed.flags.bool(name)),
  ])
  return [Object.fromEntries(values), parsed.positional]
}

describe('parseArgs()', () => {
  test.each<[words: string, values: Record<string, unknown>, positional: string[]]>([
    ['', {}, []],
    ['web db', {}, ['web', 'db']],
    ['-d web', { detach: true }, ['web']],
    ['web -d', { detach: true }, ['web']],
    ['--detach=false', { detach: false }, []],
    ['-d=false', { detach: false }, []],
    ['-dt', { detach: true, tty: true }, []],
    ['-n 5', { tail: '5' }, []],
    ['-n5', { tail: '5' }, []],
    ['-n=5', { tail: '5' }, []],
    ['-dn5 web', { detach: true, tail: '5' }, ['web']],
    ['--tail 5', { tail: '5' }, []],
    ['--tail=5', { tail: '5' }, []],
    ['--tail=', { tail: '' }, []],
    ['-e A=1 --env B=2', { env: ['A=1', 'B=2'] }, []],
    ['-e A=-d', { env: ['A=-d'] }, []],
    ['--tail -d', { tail: '-d' }, []],
    ['--index 3', { index: 3 }, []],
    ['--index -1', { index: -1 }, []],
    ['-T 90', { timeout: 90 }, []],
    ['-T 1m30s', { timeout: 90 }, []],
    ['-T 500ms', { timeout: 0.5 }, []],
    ['-- -d web', {}, ['-d', 'web']],
    ['- web', {}, ['-', 'web']],
    // The command's own -f wins over the global one; the long global one stays reachable.
    ['-f --file x.yaml', { follow: true, file: ['x.yaml'] }, []],
    ['-p shop', { 'project-name': 'shop' }, []],
    ['--mode json', { mode: 'json' }, []],
  ])('reads "%s"', (words, values, positional) => {
    expect(read(words.split(' ').filter((word) => word !== ''))).toEqual([values, positional])
  })

  test('leaves what follows the first argument alone when it belongs to a program', () => {
    const grammar = { passthrough: true }
    expect(read(['-d', 'web', 'ls', '-d', '--', '-n'], grammar)).toEqual([
      { detach: true },
      ['web', 'ls', '-d', '--', '-n'],
    ])
    expect(read(['--', 'web', '-d'], grammar)).toEqual([{}, ['web', '-d']])
  })

  test.each([
    ['--detch', 'unknown flag: --detch; did you mean "--detach"?'],
    ['--zzzzzzzz', 'unknown flag: --zzzzzzzz'],
    ['-dx', "unknown shorthand flag: 'x' in -dx"],
    ['--tail', 'flag needs an argument: --tail'],
    ['-n', "flag needs an argument: 'n' in -n"],
    ['--index 1.5', 'invalid argument "1.5" for "--index" flag: expected a whole number'],
    ['--detach=maybe', 'invalid argument "maybe" for "-d, --detach" flag: expected true or false'],
    [
      '-T soon',
      'invalid argument "soon" for "-T, --timeout" flag: expected seconds, or a duration like 1m30s',
    ],
    [
      '--mode jsn',
      'invalid argument "jsn" for "--mode" flag: expected one of table, json; did you mean "json"?',
    ],
  ])('says what is wrong with "%s"', (words, message) => {
    expect(() => read(words.split(' '))).toThrow(message)
  })
})

describe('splitAtCommand()', () => {
  test('keeps global flags with their values before the command', () => {
    expect(splitAtCommand(GLOBAL_FLAGS, ['-f', 'up', '-p', 'x', 'up', '-d', '-f', 'y'])).toEqual({
      before: ['-f', 'up', '-p', 'x'],
      command: 'up',
      after: ['-d', '-f', 'y'],
    })
  })

  test('finds no command among flags alone', () => {
    expect(splitAtCommand(GLOBAL_FLAGS, ['--help']).command).toBeUndefined()
  })
})
