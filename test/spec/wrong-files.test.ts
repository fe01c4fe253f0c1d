/**
 * Wrong stack files: each has one mistake (or several, where that is the point), and `expected.json` says what is told
 * of it: place, message, what was expected, what to write, and through which files it came in.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadStack } from '../../src/spec/load-stack.ts'
import { SpecError, formatDiagnostics } from '../../src/spec/spec-error.ts'
import type { Diagnostic } from '../../src/spec/spec-error.ts'
import { nodeFiles } from '../conformance/adapter.ts'

const DIRECTORY = join(import.meta.dirname, 'wrong-files')
const FILES = readdirSync(DIRECTORY).filter((name) => name.endsWith('.yaml'))
const EXPECTED = JSON.parse(readFileSync(join(DIRECTORY, 'expected.json'), 'utf8')) as Readonly<
  Record<string, readonly Diagnostic[]>
>

function errorOf(file: string): SpecError {
  try {
    loadStack({ fs: nodeFiles, cwd: DIRECTORY, env: {}, files: [file], projectName: 'wrong' })
  } catch (error) {
    if (error instanceof SpecError) return error
    throw error
  }
  throw new Error(`${file} was loaded`)
}

/** The same with paths relative to the folder. */
function relative(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value).replaceAll(`${DIRECTORY}/`, ''))
}

describe('loadStack() on a wrong file', () => {
  test('has at least 40 files to refuse', () => {
    expect(FILES.length).toBeGreaterThanOrEqual(40)
    expect(Object.keys(EXPECTED).sort()).toEqual([...FILES].sort())
  })

  test.each(FILES)(
    '%s: tells what is wrong, where, what was expected and what to write',
    (file) => {
      const { diagnostics } = errorOf(file)
      expect(relative(diagnostics)).toEqual(EXPECTED[file])
      for (const { line, column, expected, suggestion } of diagnostics) {
        expect(line).toBeGreaterThan(0)
        expect(column).toBeGreaterThan(0)
        expect(expected).toBeTruthy()
        expect(suggestion).toBeTruthy()
      }
    },
  )
})

describe('formatDiagnostics()', () => {
  const read = (file: string): string => readFileSync(file, 'utf8')

  test('shows the line with a caret, what was expected, and a suggestion', () => {
    const text = formatDiagnostics(errorOf('bad-volume-type.yaml'), read)
    expect(relative(text)).toBe(
      [
        'bad-volume-type.yaml:5:15: services.web.volumes[0].type: "bnd" is not allowed',
        '  5 |       - type: bnd',
        '    |               ^',
        '  expected: one of bind, volume, tmpfs, cluster, npipe, image',
        '  help: did you mean "bind"?',
      ].join('\n'),
    )
  })

  test('names the files through which a mistake came in', () => {
    const text = formatDiagnostics(errorOf('broken-include.yaml'), read)
    expect(relative(text)).toContain('included from broken-include.yaml:2:5')
  })

  test('does without the line when the source is gone', () => {
    const text = formatDiagnostics(errorOf('bad-bytes.yaml'), () => undefined)
    expect(text).not.toContain('|')
    expect(text).toContain('expected: a byte size')
  })
})
