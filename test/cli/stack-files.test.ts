import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseArgs } from '../../src/cli/args.ts'
import type { CommandContext } from '../../src/cli/command.ts'
import { COMMANDS } from '../../src/cli/command-table.ts'
import { GLOBAL_FLAGS, readGlobalOptions } from '../../src/cli/global-options.ts'
import { quickName } from '../../src/cli/stack-name.ts'
import { loadSource, loadWithServices } from '../../src/cli/stack-source.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tsstack-files-'))
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

function put(path: string, text: string): void {
  const file = join(directory, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}

interface Written {
  out: string
  notes: string[]
}

interface Call {
  readonly words?: readonly string[]
  readonly globals?: readonly string[]
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly command?: string
}

async function contextOf(call: Call, written: Written): Promise<CommandContext> {
  const { words = [], globals = [], cwd = '.', env = {}, command = 'config' } = call
  const flags = (await COMMANDS[command]?.load())?.flags ?? []
  const early = parseArgs({ flags: [], globals: GLOBAL_FLAGS, passthrough: true }, globals).flags
  const parsed = parseArgs({ flags, globals: [], passthrough: false }, words)
  const write = (text: string): void => {
    written.out += text
  }
  const note = (text: string): void => {
    written.notes.push(text)
  }
  return {
    ...parsed,
    global: readGlobalOptions(
      early,
      parseArgs({ flags: [], globals: [], passthrough: false }, []).flags,
      env,
    ),
    output: {
      write,
      line: (text) => {
        write(`${text}\n`)
      },
      note,
      writeError: note,
      isTerminal: false,
      width: () => undefined,
      errorWidth: () => undefined,
      color: false,
      errorColor: false,
    },
    env,
    cwd: join(directory, cwd),
    client: () => Promise.reject(new Error('no daemon is needed here')),
  }
}

async function config(call: Call): Promise<Written> {
  const written: Written = { out: '', notes: [] }
  const context = await contextOf(call, written)
  const command = await COMMANDS['config']?.load()
  expect(await command?.run(context)).toBe(0)
  return written
}

const SERVICE = 'services:\n  web:\n    image: a\n'

describe('quickName() agrees with the loader', () => {
  const FILES = [
    'stack.yaml',
    'stack.yml',
    'compose.yaml',
    'compose.yml',
    'docker-compose.yml',
    'docker-compose.yaml',
  ]
  const cases: readonly (readonly [
    what: string,
    files: Readonly<Record<string, string>>,
    call: Call,
  ])[] = [
    ...FILES.map((file) => [file, { [`My.App/${file}`]: SERVICE }, { cwd: 'My.App' }] as const),
    ...FILES.map(
      (file) =>
        [
          `${file} before the others`,
          Object.fromEntries(
            FILES.map((name) => [
              `x/${name}`,
              `name: ${name === file ? 'this' : 'other'}\n${SERVICE}`,
            ]).slice(FILES.indexOf(file)),
          ),
          { cwd: 'x' },
        ] as const,
    ),
    ['a name', { 'x/compose.yaml': `name: shop\n${SERVICE}` }, { cwd: 'x' }],
    ['a directory above', { 'x/compose.yaml': SERVICE, 'x/y/z/a': '' }, { cwd: 'x/y/z' }],
    [
      'an override with a name',
      { 'x/compose.yaml': `name: a\n${SERVICE}`, 'x/compose.override.yml': 'name: b\n' },
      { cwd: 'x' },
    ],
    [
      'two files',
      { 'x/a.yaml': `name: a\n${SERVICE}`, 'y/b.yaml': SERVICE },
      { globals: ['-f', 'x/a.yaml', '-f', 'y/b.yaml'] },
    ],
    [
      'a project directory',
      { 'x/a.yaml': SERVICE, 'y/b': '' },
      { globals: ['-f', 'x/a.yaml', '--project-directory', 'y'] },
    ],
    ['a directory that needs cleaning', { '_-Ab c-D/compose.yaml': SERVICE }, { cwd: '_-Ab c-D' }],
  ]

  test.each(cases)('about %s', async (_, files, call) => {
    for (const [path, text] of Object.entries(files)) put(path, text)
    const context = await contextOf(call, { out: '', notes: [] })
    expect(quickName(context)).toBe((await loadSource(context)).stack.name)
  })

  test.each<[what: string, files: Readonly<Record<string, string>>, call: Call]>([
    ['a variable', { 'x/compose.yaml': `name: \${X:-a}\n${SERVICE}` }, { cwd: 'x' }],
    [
      'an .env file',
      { 'x/compose.yaml': SERVICE, 'x/.env': 'COMPOSE_PROJECT_NAME=a\n' },
      { cwd: 'x' },
    ],
    ['COMPOSE_FILE', { 'x/compose.yaml': SERVICE }, { cwd: 'x', env: { COMPOSE_FILE: 'y.yaml' } }],
    ['no file', { 'x/a': '' }, { cwd: 'x' }],
  ])('and leaves %s to it', async (_, files, call) => {
    for (const [path, text] of Object.entries(files)) put(path, text)
    expect(quickName(await contextOf(call, { out: '', notes: [] }))).toBeUndefined()
  })
})

describe('config', () => {
  const FILE = [
    'name: shop',
    'services:',
    '  web:',
    '    image: "nginx:${TAG:-1}"',
    '    depends_on: [db]',
    '    environment: { PRICE: "1$$" }',
    '  db: { build: ., volumes: ["data:/d"] }',
    '  dbg: { image: c, profiles: [debug] }',
    'volumes: { data: }',
    '',
  ].join('\n')

  test.each<[words: string, out: string]>([
    ['--services', 'db\nweb\n'],
    ['--volumes', 'data\n'],
    ['--networks', 'default\n'],
    ['--images', 'shop-db\nnginx:1\n'],
    ['--profiles', 'debug\n'],
    ['--services db', 'db\n'],
    ['--variables', 'NAME   REQUIRED   DEFAULT VALUE   ALTERNATE VALUE\nTAG    false      1\n'],
    ['--environment', 'COLOR=red\n'],
    ['-q', ''],
  ])('%s', async (words, out) => {
    put('compose.yaml', FILE)
    const written = await config({ words: words.split(' '), env: { COLOR: 'red' } })
    expect(written.out.split('\n').toSorted()).toEqual(out.split('\n').toSorted())
  })

  test('doubles each dollar, so that its output can be read again', async () => {
    put('compose.yaml', FILE)
    expect((await config({})).out).toContain('PRICE: 1$$\n')
    expect((await config({ words: ['--no-interpolate'] })).out).toContain('nginx:${TAG:-1}')
    const json = JSON.parse((await config({ words: ['--format', 'json'] })).out) as { name: string }
    expect(json.name).toBe('shop')
  })

  test('--hash changes with the service, and with it alone', async () => {
    put('compose.yaml', FILE)
    const before = (await config({ words: ['--hash', '*'] })).out
    const after = (await config({ words: ['--hash', '*'], env: { TAG: '2' } })).out
    expect(before.split('\n').map((line, at) => line === after.split('\n')[at])).toEqual([
      true,
      false,
      true,
    ])
    expect((await config({ words: ['--hash', 'db'] })).out).toMatch(/^db [0-9a-f]{64}\n$/)
  })

  test('--models names models, and --all-resources keeps what no service uses', async () => {
    put(
      'compose.yaml',
      'services: {a: {image: x, models: [m]}}\nmodels: {m: {model: y}}\nvolumes: {v: }\n',
    )
    expect((await config({ words: ['--models'] })).out).toBe('m\n')
    expect((await config({ words: ['--volumes'] })).out).toBe('')
    expect((await config({ globals: ['--all-resources'], words: ['--volumes'] })).out).toBe('v\n')
  })

  test('-q --format json prints what is wrong, or suspicious, for machines', async () => {
    put('compose.yaml', 'services: {a: {imagge: x}}\nvolumes: {v: }\n')
    const command = await COMMANDS['config']?.load()
    const written: Written = { out: '', notes: [] }
    const context = await contextOf({ words: ['-q', '--format', 'json'] }, written)
    expect(await command?.run(context)).toBe(1)
    expect(JSON.parse(written.out)).toEqual({
      diagnostics: [
        {
          severity: 'error',
          message: "additional properties 'imagge' not allowed in services.a",
          file: join(directory, 'compose.yaml'),
          line: 1,
          column: 16,
          path: 'services.a.imagge',
          expected: expect.stringContaining('attributes of a service') as string,
          suggestion: 'did you mean "image"?',
        },
      ],
    })
    put('compose.yaml', 'services: {a: {image: x}}\nvolumes: {v: }\n')
    const { out, notes } = await config({ words: ['-q', '--format', 'json'] })
    expect(JSON.parse(out)).toMatchObject({
      diagnostics: [
        { severity: 'warning', message: 'volume "v" is not used by any service', line: 2 },
      ],
    })
    expect(notes).toEqual([])
  })

  test('-o writes a file', async () => {
    put('compose.yaml', FILE)
    expect((await config({ words: ['-o', 'out.yaml'] })).out).toBe('')
    expect((await config({ globals: ['-f', 'out.yaml'], words: ['--services'] })).out).toContain(
      'web',
    )
  })
})

test('loadWithServices() activates a service by name, and keeps all others', async () => {
  put(
    'compose.yaml',
    'services:\n  web: { image: a }\n  dbg: { image: b, profiles: [debug], networks: [n] }\nnetworks: { n: }\n',
  )
  const context = await contextOf({}, { out: '', notes: [] })
  expect(Object.keys((await loadWithServices(context, ['web'])).stack.services)).toEqual(['web'])
  const { stack } = await loadWithServices(context, ['dbg'])
  expect(Object.keys(stack.services).toSorted()).toEqual(['dbg', 'web'])
  expect(Object.keys(stack.networks).toSorted()).toEqual(['default', 'n'])
})
