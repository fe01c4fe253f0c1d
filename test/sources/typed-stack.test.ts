/** stack.ts beside stack.yaml: found, evaluated by Node with its types stripped, and explained when it is wrong. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts')
let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tsstack-typed-'))
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

interface Run {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** `tsstack` in a process of its own: the module must be evaluated by Node, not by the test runner. */
function tsstack(words: readonly string[], files: Readonly<Record<string, string>>): Run {
  for (const [name, text] of Object.entries(files)) {
    const file = join(directory, name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
  const env = { PATH: process.env['PATH'], HOME: directory }
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words], {
    cwd: directory,
    env,
    encoding: 'utf8',
  })
  return { status, stdout, stderr: stderr.replaceAll(`${directory}/`, '') }
}

const TYPED = `
import { defineStack } from 'tsstack'
import { tag } from './lib/tag.ts'
const replicas: number = await Promise.resolve(2)
export default defineStack({
  name: 'typed',
  services: { web: { image: \`web:\${tag}\`, command: ['sleep', '\${TIME:-5}'], scale: replicas } },
})
`

describe('tsstack with a stack.ts', () => {
  test('finds it, resolves "tsstack" and what it imports, and interpolates as in YAML', () => {
    const run = tsstack(['config', '--format', 'json'], {
      'stack.ts': TYPED,
      'lib/tag.ts': 'export const tag: string = "v1"\n',
    })
    expect(run.stderr).toBe('')
    expect(JSON.parse(run.stdout)).toMatchObject({
      name: 'typed',
      services: { web: { image: 'web:v1', command: ['sleep', '5'], scale: 2 } },
    })
  })

  test('a YAML file comes first, and merges over it by -f', () => {
    const files = {
      'stack.ts': 'export default { services: { a: { image: "typed", hostname: "h" } } }\n',
      'compose.yaml': 'services: { a: { image: yaml } }\n',
    }
    const found = tsstack(['config', '--images'], files)
    expect(found.stdout).toBe('yaml\n')
    expect(found.stderr).toContain('Found several stack files')
    const merged = tsstack(
      ['-f', 'stack.ts', '-f', 'compose.yaml', 'config', '--format', 'json'],
      {},
    )
    expect(JSON.parse(merged.stdout)).toMatchObject({
      services: { a: { image: 'yaml', hostname: 'h' } },
    })
  })

  test('names the file and the path in the value, for all that is wrong', () => {
    const { status, stderr } = tsstack(['config', '-q'], {
      'stack.ts':
        'export default { services: { web: { imagge: "a", ports: [{ target: "x", mod: 1 }] } } }\n',
    })
    expect(status).toBe(1)
    expect(stderr).toContain("stack.ts: services.web.imagge: additional properties 'imagge'")
    expect(stderr).toContain('help: did you mean "image"?')
    expect(stderr).toContain("stack.ts: services.web.ports[0].mod: additional properties 'mod'")
  })

  test.each([
    ['a syntax error', 'const a = ;\n', 'stack.ts:1:11: cannot evaluate it: Expression expected'],
    [
      'an exception',
      'const a = 1\n\nthrow new TypeError(`no ${a}`)\n',
      'stack.ts:3:7: cannot evaluate it: no 1',
    ],
    ['no default export', 'export const a = 1\n', 'stack.ts: it has no default export'],
    ['a number', 'export default 1\n', 'it has a default export that is a number'],
    [
      'a function within',
      'export default { services: { a: { image: () => 1 } } }\n',
      "stack.ts: services.a.image: a function can't stand in a stack",
    ],
    [
      'a circle',
      'const a: any = {}\na.a = a\nexport default { "x-a": a }\n',
      'stack.ts: x-a.a: the value contains itself',
    ],
    ['a Map', 'export default { services: new Map() }\n', "services: a Map can't stand in a stack"],
  ])('explains %s', (_, text, message) => {
    const { status, stderr } = tsstack(['config', '-q'], { 'stack.ts': text })
    expect(stderr).toContain(message)
    expect(stderr).not.toContain('    at ')
    expect(status).toBe(1)
  })

  test('evaluates no program that a file includes or extends', () => {
    const { status, stderr } = tsstack(['-f', 'a.yaml', 'config', '-q'], {
      'a.yaml':
        'include: [./b.ts]\nservices: { a: { image: x, extends: { file: b.ts, service: b } } }\n',
      'b.ts': 'process.stdout.write("evaluated")\nexport default {}\n',
    })
    expect(status).toBe(1)
    expect(stderr).toContain('a.yaml:1:11: cannot include b.ts: it is a program')
    expect(stderr).toContain('a.yaml:2:45: cannot extend b.ts: it is a program')
  })
})
