/** The programs of docs/typed-stacks.md: they are what their types say, and load. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..', '..')
const DOCUMENT = readFileSync(join(ROOT, 'docs', 'typed-stacks.md'), 'utf8')
const PROGRAMS = [...DOCUMENT.matchAll(/```ts\n\/\/ (\S+)\n([\s\S]*?)```/g)].map(
  ([, name = '', text = '']) => [name, text] as const,
)

test('the programs of docs/typed-stacks.md compile in a project that has tsstack as a dependency', () => {
  expect(PROGRAMS.map(([name]) => name)).toEqual(['stack.ts', 'greet.ts'])
  const directory = mkdtempSync(join(tmpdir(), 'tsstack-document-'))
  try {
    for (const [name, text] of PROGRAMS) writeFileSync(join(directory, name), text)
    writeFileSync(join(directory, 'package.json'), '{ "type": "module" }')
    const compilerOptions = {
      target: 'esnext',
      lib: ['esnext'],
      module: 'nodenext',
      types: ['node'],
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      allowImportingTsExtensions: true,
    }
    writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions }))
    for (const name of ['@types', 'undici-types']) {
      const target = join(directory, 'node_modules', name)
      cpSync(join(ROOT, 'node_modules', name), target, { recursive: true })
    }
    symlinkSync(ROOT, join(directory, 'node_modules', 'tsstack'))
    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
    const run = (...words: string[]): { status: number | null; stdout: string; stderr: string } =>
      spawnSync(process.execPath, words, { cwd: directory, encoding: 'utf8' })
    const compiled = run(tsc, '-p', '.').stdout.split('\n')
    expect(compiled.filter((line) => /^(?:stack|greet)\.ts/.test(line))).toEqual([])
    const config = run(join(ROOT, 'src/cli/main.ts'), 'config', '--format', 'json')
    expect(JSON.parse(config.stdout)).toMatchObject({ name: 'shop', services: { db: {} } })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}, 120_000)
