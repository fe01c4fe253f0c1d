/** The reader of plain YAML gives what the YAML library gives, places included, or leaves the text to it. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { collectDiagnostics } from '../../src/spec/diagnostics.ts'
import type { Node } from '../../src/spec/node.ts'
import { parseWithLibrary } from '../../src/spec/parse.ts'
import { readPlainYaml } from '../../src/spec/plain-yaml.ts'
import type { Source } from '../../src/spec/source.ts'

const CASES = join(import.meta.dirname, '..', '..', '..', 'shared', 'conformance', 'cases')

function sourceOf(text: string): Source {
  return { file: '/stack.yaml', text, directory: '/', lookup: () => undefined }
}

/** Without the sources, and without the places of values that are not written. */
function shown(node: Node): unknown {
  if (node.kind === 'scalar') return [node.value, node.text, node.value === null ? 0 : node.offset]
  if (node.kind === 'list') return { at: node.offset, items: node.items.map(shown) }
  const entries = [...node.entries].map(([key, entry]) => [key, entry.offset, shown(entry.value)])
  return { at: node.offset, entries }
}

/** Whether the plain reader read it; then it must be what the library reads, without a complaint. */
function isReadAlike(text: string): boolean {
  const source = sourceOf(text)
  const plain = readPlainYaml(source)
  if (plain === undefined) return false
  const diagnostics = collectDiagnostics()
  const library = parseWithLibrary(source, diagnostics)
  diagnostics.throwIfAny()
  const [one, other] = [plain === null ? [] : [shown(plain)], library.map(shown)]
  // The matcher is slow; it is for telling the difference.
  if (!isDeepStrictEqual(one, other)) expect(one).toEqual(other)
  return true
}

const FORMS = [
  'services:\n  web:\n    image: a:1 # comment\n    command: ["a", b, \'c\']\n    ports:\n    - "80:80"\n    - 81:81\n',
  'x: &a\n  k: v\ny:\n  <<: *a\n  z: *a\n  list: [a, {b: c, "d": 1}]\n',
  'a: |\n  one\n    two\n\n  three\nb: |-\n  x\n  # no comment\nc: d\n',
  '- a: b\n  c: d\n-\n  e: f\n- g\n# comment\n- - h\n',
  'a:\nb: ~\nc: null\n"d": \'it\'\'s\'\ne: "x\\ny"\n\n   # odd comment\nf: http://x:80/y#z\n',
  'a: >\n  folded\n  text\nb: plain\n  continued\n',
]

describe('readPlainYaml()', () => {
  test.each(FORMS.slice(0, 3))('reads %j as the library does', (text) => {
    expect(isReadAlike(text)).toBe(true)
  })

  test.each([
    'a: 1\na: 2\n',
    'a:\tb\n',
    '1: a\n',
    'a: b: c\n',
    'a: [b\n',
    'a: "b\n',
    'a: *b\n',
    'a: &b c\nd: &e *b\n',
    'a: &b\n  c: d\ne: &f\n  *b\n',
    'a: !reset b\n',
    '---\na: b\n',
    'a: b\n c: d\n',
    'a: >\n  b\n',
    'a\n',
    '? a\n: b\n',
    'a: - b\n',
    'a: @b\n',
    'a: {b}\n',
    '<<: 1\n',
    'a: b\r\n',
  ])('leaves %j to the library', (text) => {
    expect(readPlainYaml(sourceOf(text))).toBeUndefined()
  })

  test('reads any text as the library does, or leaves it', { timeout: 60_000 }, () => {
    const parts = [
      'a',
      'b:',
      ': ',
      ':',
      ' ',
      '\n',
      '\n  ',
      '\n    ',
      '- ',
      '-',
      '[',
      ']',
      '{',
      '}',
      ', ',
      '&a ',
      '*a',
      '<<: ',
      '"',
      "'",
      '|\n',
      '|-\n',
      '> ',
      '#',
      ' # c',
      '1',
      'null',
      '~',
      '017',
      '?',
      '\\',
      '\\n',
      '$',
      'é',
      '@',
      '%',
      '---',
      '...',
    ]
    let read = 0
    const anyText = fc.array(fc.constantFrom(...parts), { maxLength: 14 })
    const changed = fc
      .tuple(
        fc.constantFrom(...FORMS),
        fc.array(fc.tuple(fc.nat(120), fc.nat(4), fc.constantFrom(...parts)), {
          minLength: 1,
          maxLength: 3,
        }),
      )
      .map(([form, changes]) =>
        changes.reduce(
          (text, [at, drop, add]) => text.slice(0, at) + add + text.slice(at + drop),
          form,
        ),
      )
    fc.assert(
      fc.property(
        fc.oneof(
          anyText.map((list) => list.join('')),
          changed,
        ),
        (text) => {
          if (isReadAlike(text)) read++
        },
      ),
      { numRuns: 5000 },
    )
    expect(read).toBeGreaterThan(300)
  })

  test.skipIf(!existsSync(CASES))(
    `reads nearly all of the conformance cases${existsSync(CASES) ? '' : ' (skipped: ../shared/conformance is not there)'}`,
    { timeout: 60_000 },
    () => {
      const files = globSync(join(CASES, '**', '*.{yaml,yml}'))
      const read = files.filter((file) => isReadAlike(readFileSync(file, 'utf8')))
      expect(read.length / files.length).toBeGreaterThan(0.9)
    },
  )
})
