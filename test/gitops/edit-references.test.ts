/** Only the reference changes: everything else of the text is what it was. */
import { describe, expect, test } from 'vitest'
import { editReferences, type ReferenceEdit } from '../../src/gitops/edit-references.ts'

const [from, to] = ['example.com/web:1.4.2', 'example.com/web:1.5.0@sha256:00']

/** Where the reference is, as the loader says it. */
function edit(text: string): string {
  const offset = /["']?example/.exec(text)?.index ?? 0
  const before = text.slice(0, offset).split('\n')
  const column = (before.at(-1)?.length ?? 0) + 1
  return editReferences(text, [{ line: before.length, column, from, to }])
}

describe('editReferences()', () => {
  test.each([
    `# head\nservices:\n    web:   # odd\n        image:    ${from}   # keep\n        tty: yes\n`,
    `services: { web: { image: "${from}", tty: true } } # flow\n`,
    `services:\r\n  web:\r\n    image: '${from}'\r\n`,
    `services:\n  web:\n    image: ${from}`,
    `a: 1\n---\nservices: {web: {image: ${from}}}\n`,
    `services:\n  web:\n    image: !!str ${from}\n    labels: {image: ${from}}\n`,
  ])('keeps the rest of %j', (text) => {
    expect(edit(text)).toBe(text.replace(from, to))
  })

  test.each([
    `services: {web: {image: &image ${from}}}\n`,
    `services: {web: {image: "example.com/\${NAME}:1"}}\n`,
    `services:\n  web:\n    image: >-\n      ${from}\n`,
    `services: {web: {image: example.com/other:1.4.2}}\n`,
  ])('refuses %j', (text) => {
    expect(() => edit(text)).toThrow('is not written out there')
  })

  test('changes many in one go', { timeout: 5000 }, () => {
    const count = 2000
    const text = Array.from({ length: count }, (_, at) => `s${String(at)}: { image: ${from} }\n`)
    const edits = text.map((line, at): ReferenceEdit => {
      return { line: at + 1, column: line.indexOf(from) + 1, from, to }
    })
    expect(editReferences(text.join(''), edits)).toBe(text.join('').replaceAll(from, to))
    expect(() => editReferences('#'.repeat(3 << 20), [])).toThrow('more than 2 MiB')
  })
})
