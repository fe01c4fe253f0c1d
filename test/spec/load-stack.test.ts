import { describe, expect, test } from 'vitest'
import { TsstackError } from '../../src/errors.ts'
import { SpecError } from '../../src/spec/spec-error.ts'
import type { Service } from '../../src/spec/stack.ts'
import { loadFrom } from './memory-files.ts'

const WEB = 'services:\n  web:\n    image: host:sh\n'

function serviceOf(text: string, options: Parameters<typeof loadFrom>[1] = {}): Service {
  const { web } = loadFrom({ 'stack.yaml': text }, options).stack.services
  if (web === undefined) throw new Error('no service web')
  return web
}

describe('loadStack() finds its files', () => {
  test('prefers stack.yaml, and warns of others', () => {
    const loaded = loadFrom({ 'stack.yaml': WEB, 'compose.yaml': 'services: {}\n' })
    expect(loaded.files).toEqual(['/project/stack.yaml'])
    expect(loaded.warnings[0]?.message).toContain('several stack files')
  })

  test('looks in the directories above, and takes the override beside', () => {
    const files = {
      '/project/compose.yaml': WEB,
      '/project/compose.override.yaml': 'services:\n  web:\n    tty: true\n',
      '/project/deep/down/x': '',
    }
    const { stack, workingDir } = loadFrom(files, { cwd: '/project/deep/down' })
    expect(workingDir).toBe('/project')
    expect(stack.services['web']?.tty).toBe(true)
  })

  test('takes COMPOSE_FILE of .env', () => {
    const files = { '.env': 'COMPOSE_FILE=a.yaml:b.yaml', 'a.yaml': WEB, 'b.yaml': 'name: other\n' }
    expect(loadFrom(files).stack.name).toBe('other')
  })

  test('reads standard input for -', () => {
    expect(loadFrom({}, { files: ['-'], stdin: WEB }).stack.name).toBe('project')
  })

  test('throws NOT_FOUND when there is none', () => {
    const load = (): unknown => loadFrom({ 'other.txt': '' })
    expect(load).toThrow(TsstackError)
    expect(load).toThrow(/no stack.yaml/)
  })
})

describe('loadStack() names the stack', () => {
  test.each([
    [{ projectName: 'given' }, {}, 'given'],
    [{}, { COMPOSE_PROJECT_NAME: 'environment' }, 'environment'],
    [{}, {}, 'filed'],
  ])('with %j and %j it is %s', (options, env, name) => {
    const text = `name: Filed\n${WEB}    hostname: \${COMPOSE_PROJECT_NAME}\n`
    const { stack } = loadFrom({ 'stack.yaml': text }, { ...options, env })
    expect(stack.name).toBe(name)
    expect(stack.services['web']?.hostname).toBe(name)
  })

  test('refuses a name that is none, and says what it could be', () => {
    expect(() => loadFrom({ 'stack.yaml': WEB }, { projectName: 'My App' })).toThrow(SpecError)
  })
})

describe('loadStack() resolves environment', () => {
  test('process wins over .env, environment over env_file, later files over earlier ones', () => {
    const files = {
      '.env': 'A=dotenv\nB=dotenv\n',
      'one.env': 'X=one\nY=one\nZ=one\n',
      'two.env': 'Y=two\nZ=two\n',
      'stack.yaml': `${WEB}    env_file: [one.env, two.env]\n    environment:\n      - A\n      - B\n      - NOWHERE\n      - Z=own\n`,
    }
    const { stack } = loadFrom(files, { env: { A: 'process' } })
    expect(stack.services['web']?.environment).toEqual({
      X: 'one',
      Y: 'two',
      A: 'process',
      B: 'dotenv',
      NOWHERE: null,
      Z: 'own',
    })
  })

  test('reads raw files as they are', () => {
    const files = {
      'raw.env': '# comment\nA="quoted" $B # c\n',
      'stack.yaml': `${WEB}    env_file:\n      - path: raw.env\n        format: raw\n`,
    }
    expect(loadFrom(files).stack.services['web']?.environment).toEqual({ A: '"quoted" $B # c' })
  })

  test('reads no file of a service that is not wanted', () => {
    const text = `${WEB}  other:\n    image: host:sh\n    env_file: nowhere.env\n`
    expect(
      Object.keys(loadFrom({ 'stack.yaml': text }, { services: ['web'] }).stack.services),
    ).toEqual(['web'])
    expect(() => loadFrom({ 'stack.yaml': text })).toThrow(/nowhere.env/)
  })
})

describe('loadStack() reads contents', () => {
  test('of configs and secrets that active services mount', () => {
    const text = `${WEB}    configs: [a, b]\n    secrets: [c]\nconfigs:\n  a: {file: a.txt}\n  b: {content: "x\${V}"}\n  unused: {file: nowhere}\nsecrets:\n  c: {environment: TOKEN}\n`
    const { contents } = loadFrom(
      { 'stack.yaml': text, 'a.txt': 'file' },
      { env: { V: '1', TOKEN: 'token' } },
    )
    const base64 = (plain: string): string => Buffer.from(plain).toString('base64')
    expect(contents).toEqual({
      configs: { a: base64('file'), b: base64('x1') },
      secrets: { c: base64('token') },
    })
  })
})

describe('loadStack() reads profiles of seccomp', () => {
  const text = `${WEB}    security_opt: ["seccomp:profiles/web.json", "no-new-privileges"]\n`

  test('relative to the project directory, whatever their layout', () => {
    const files = { 'stack.yaml': text, 'profiles/web.json': '{\n "defaultAction": "A"\n}' }
    expect(loadFrom(files).stack.services['web']?.security_opt).toEqual([
      'seccomp={"defaultAction":"A"}',
      'no-new-privileges',
    ])
  })

  test.each([
    [{}, /stack\.yaml:\d+:\d+.*cannot read \/project\/profiles\/web\.json: no such file/s],
    [{ 'profiles/web.json': '{' }, /stack\.yaml:\d+:\d+.*cannot read profiles\/web\.json: /s],
  ])('and tells where one is named that is not to be had: %j', (files, message) => {
    expect(() => loadFrom({ 'stack.yaml': text, ...files })).toThrow(message)
  })

  test.each(['unconfined', 'default', 'builtin', '{"defaultAction":"A"}'])(
    'but not %s',
    (value) => {
      const option = `seccomp=${value}`
      const stack = `${WEB}    security_opt: ['${option}']\n`
      expect(loadFrom({ 'stack.yaml': stack }).stack.services['web']?.security_opt).toEqual([
        option,
      ])
    },
  )
})

describe('loadStack() merges', () => {
  test('two files, with what is reset and overridden', () => {
    const base = `${WEB}    ports: ["80:80"]\n    environment: {A: "1", B: "2"}\n    command: [a]\n    cap_add: [X]\n    volumes: ["va:/x", "vb:/y"]\nvolumes: {va: {}, vb: {}, vc: {}}\n`
    const over = `services:\n  web:\n    ports: !reset []\n    environment:\n      A: !reset null\n      C: "3"\n    command: [b]\n    cap_add: !override [Y]\n    volumes: ["vc:/x"]\n`
    const { web } = loadFrom({ 'a.yaml': base, 'b.yaml': over }, { files: ['a.yaml', 'b.yaml'] })
      .stack.services
    expect(web).toMatchObject({ environment: { B: '2', C: '3' }, command: ['b'], cap_add: ['Y'] })
    expect(web).not.toHaveProperty('ports')
    expect(web?.volumes?.map(({ source }) => source)).toEqual(['vc', 'vb'])
  })

  test('the documents of one file', () => {
    const text = `${WEB}---\nservices:\n  web:\n    tty: true\n`
    expect(serviceOf(text).tty).toBe(true)
  })

  test('extends, across files, with the paths of each relative to it', () => {
    const files = {
      'stack.yaml':
        'services:\n  web:\n    extends: {file: sub/base.yaml, service: base}\n    volumes: ["./own:/own"]\n',
      'sub/base.yaml':
        'services:\n  base:\n    extends: root\n    volumes: ["./data:/data"]\n  root:\n    image: host:sh\n    tty: true\n',
    }
    const { web } = loadFrom(files).stack.services
    expect(web?.tty).toBe(true)
    expect(web?.volumes?.map(({ source }) => source)).toEqual(['/project/sub/data', '/project/own'])
  })

  test('include, underneath, with its own directory and environment', () => {
    const files = {
      'stack.yaml': `include: [sub/compose.yaml]\n${WEB}    depends_on: [db]\n`,
      'sub/compose.yaml': 'services:\n  db:\n    image: "${DB}"\n    volumes: ["./data:/data"]\n',
      'sub/.env': 'DB=host:db',
    }
    const { db } = loadFrom(files).stack.services
    expect(db?.image).toBe('host:db')
    expect(db?.volumes?.[0]?.source).toBe('/project/sub/data')
  })
})

describe('loadStack() selects', () => {
  const text = `${WEB}    depends_on: [db]\n  db:\n    image: host:sh\n  tool:\n    image: host:sh\n    profiles: [tools]\n    depends_on: [db]\n`

  test('services without profiles, and those of active ones', () => {
    const names = (options: Parameters<typeof loadFrom>[1]): string[] =>
      Object.keys(loadFrom({ 'stack.yaml': text }, options).stack.services)
    expect(names({})).toEqual(['web', 'db'])
    expect(names({ profiles: ['tools'] })).toEqual(['web', 'db', 'tool'])
    expect(names({ env: { COMPOSE_PROFILES: 'x, tools' } })).toEqual(['web', 'db', 'tool'])
    expect(names({ services: ['tool'] })).toEqual(['db', 'tool'])
    const disabled = (options: Parameters<typeof loadFrom>[1]): readonly string[] =>
      loadFrom({ 'stack.yaml': text }, options).disabledServices
    expect(disabled({})).toEqual(['tool'])
    expect(disabled({ services: ['tool'] })).toEqual([])
  })
})

describe('loadStack() is bounded', () => {
  test('cycles are found in a graph with more paths than can be counted', () => {
    const layers = 40
    const lines = ['services:']
    for (let layer = 0; layer < layers; layer++) {
      for (const side of ['a', 'b']) {
        lines.push(`  ${side}${String(layer)}:`, '    image: x')
        const next = String(layer + 1)
        if (layer + 1 < layers) lines.push(`    depends_on: [a${next}, b${next}]`)
      }
    }
    expect(Object.keys(loadFrom({ 'stack.yaml': lines.join('\n') }).stack.services)).toHaveLength(
      80,
    )
  })

  test.each([
    ['flow lists', `x: ${'['.repeat(100_000)}`],
    ['flow maps', `x-a: ${'{a: '.repeat(5000)}1${'}'.repeat(5000)}\n${WEB}`],
    ['block maps', Array.from({ length: 600 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')],
    ['variables', `x-a: "${'${A:-'.repeat(500)}${'}'.repeat(500)}"\n${WEB}`],
  ])('%s that nest too deeply are refused', (_, text) => {
    expect(() => loadFrom({ 'stack.yaml': text })).toThrow(SpecError)
  })

  test('a key named __proto__ is a key', () => {
    const { stack } = loadFrom({ 'stack.yaml': `${WEB}    labels:\n      __proto__: x\n` })
    expect(Object.keys(stack.services['web']?.labels ?? {})).toEqual(['__proto__'])
  })
})
