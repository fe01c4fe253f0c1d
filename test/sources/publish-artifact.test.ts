/** Stacks into a real registry of this machine, and out of it again. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { loadSources } from '../../src/sources/load-sources.ts'
import { packStack, type PackedFile } from '../../src/sources/pack-stack.ts'
import { parseTarget, publishArtifact } from '../../src/sources/publish-artifact.ts'
import { missingPrograms, startRegistry, type RegistryFixture } from '../registry-fixture.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tsstack-publish-'))
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

function write(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true })
    writeFileSync(join(directory, name), text)
  }
}

function pack(...names: readonly string[]): PackedFile[] {
  return packStack({
    files: names.map((name) => join(directory, name)),
    workingDir: directory,
    environment: new Map([['MODE', 'prod']]),
  })
}

const MAIN = `# The comment stays.
services:
  web: &web
    image: "web:\${TAG}"
    env_file: "\${MODE}.env"
    extends: {file: parts/base.yaml, service: base}
  copy:
    <<: *web
    env_file: [{path: absent.env, required: false}, prod.env]
  plain:
    extends: web
`
const FILES = {
  'compose.yaml': MAIN,
  'override.yaml': 'services: {web: {hostname: second}}\n',
  'parts/base.yaml': `services:
  base: {command: run, env_file: base.env, extends: {file: ../parts/deep.yaml, service: deep}}
`,
  'parts/deep.yaml': `services: {deep: {user: "7"}, unused: {extends: {file: base.yaml, service: base}}}\n`,
  'parts/base.env': 'BASE=1\n',
  'prod.env': 'PROD=1\n',
}

const without = missingPrograms('docker-registry')

describe.skipIf(without !== '')(`publishArtifact()${without}`, { timeout: 60_000 }, () => {
  let server: RegistryFixture
  beforeAll(async () => {
    server = await startRegistry()
  })
  afterAll(async () => {
    if (without === '') await server.close()
  })

  test('what is published is what was there; the same files are the same artifact', async () => {
    write(FILES)
    const target = parseTarget(`oci://${server.host}/team/shop:1.4`)
    const files = ['compose.yaml', 'override.yaml']
    const digest = await publishArtifact(target, pack(...files), {})
    expect(await publishArtifact(target, pack(...files), {})).toBe(digest)
    const env = {
      TAG: '2',
      MODE: 'prod',
      HOME: directory,
      XDG_CACHE_HOME: join(directory, 'cache'),
    }
    const here = await loadSources({ cwd: directory, env, files })
    for (const reference of ['shop:1.4', `shop@${digest}`]) {
      const remote = `oci://${server.host}/team/${reference}`
      const there = await loadSources({
        cwd: directory,
        env,
        files: [remote],
        projectName: here.stack.name,
      })
      expect(there.stack.services).toEqual(here.stack.services)
    }
    expect(here.stack.services['web']).toMatchObject({
      image: 'web:2',
      user: '7',
      hostname: 'second',
      environment: { BASE: '1', PROD: '1' },
    })
  })
})

describe('packStack()', () => {
  test('changes nothing but the names of files that come along', () => {
    write(FILES)
    const [main, ...others] = pack('compose.yaml')
    const names = others.map(({ name }) => name.replace(/^[0-9a-f]{12}-/, ''))
    expect(names.sort()).toEqual(['base.env', 'base.yaml', 'deep.yaml', 'prod.env'])
    const text = main?.bytes.toString() ?? ''
    const beside = Object.fromEntries(others.map(({ name }) => [name.slice(13), name]))
    const renamed = MAIN.replace('"${MODE}.env"', `"${beside['prod.env'] ?? ''}"`)
      .replace('parts/base.yaml', `"${beside['base.yaml'] ?? ''}"`)
      .replace('}, prod.env]', `}, "${beside['prod.env'] ?? ''}"]`)
    expect(text).toBe(renamed)
    expect(pack('override.yaml')).toEqual([
      { kind: 'stack', name: 'override.yaml', bytes: Buffer.from(FILES['override.yaml']) },
    ])
  })

  test.each([
    ['a program', { 'stack.ts': 'export default {}' }, 'is a program'],
    [
      'what extends a program',
      { 'a.yaml': 'services: {a: {extends: {file: b.ts, service: b}}}' },
      'b.ts" is a program',
    ],
    ['local includes', { 'a.yaml': 'include: [{path: [x.yaml]}]' }, 'includes "x.yaml"'],
    [
      'a file that is not there',
      { 'a.yaml': 'services: {a: {extends: {file: b.yaml, service: b}}}' },
      'Cannot read',
    ],
  ])('refuses %s', (_, files, message) => {
    write(files)
    expect(() => pack(...Object.keys(files))).toThrow(message)
  })

  test('changes all documents of a file, and values of any style', () => {
    const text = `services: {a: {env_file: 'a.env'}}
---
services:
  a:
    env_file:
      - >-
        a.env
    mem_limit: !override 5
...
`
    write({ 'two.yaml': text, 'a.env': 'A=1' })
    const [main, file] = pack('two.yaml')
    const name = `"${file?.name ?? ''}"`
    expect(main?.bytes.toString()).toBe(
      text.replace("'a.env'", name).replace('>-\n        a.env', name),
    )
  })

  test('leaves what is remote where it is', () => {
    const text =
      'include: ["https://host/base.git"]\nservices: {a: {extends: {file: "oci://host/b:1", service: b}}}\n'
    write({ 'a.yaml': text })
    expect(pack('a.yaml')).toEqual([{ kind: 'stack', name: 'a.yaml', bytes: Buffer.from(text) }])
  })
})

test('parseTarget() takes a name with a tag, and no digest', () => {
  expect(parseTarget('team/shop')).toEqual({
    registry: 'docker.io',
    repository: 'team/shop',
    tag: 'latest',
  })
  expect(() => parseTarget(`shop@sha256:${'0'.repeat(64)}`)).toThrow(
    'a digest is given by what is in it',
  )
  expect(() => parseTarget('Not A Name')).toThrow()
})
