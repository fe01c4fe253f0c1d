/** Only the reference changes: everything else of the text is what it was. */
import { describe, expect, test } from 'vitest'
import { editReference } from '../../src/gitops/edit-reference.ts'

const [from, to] = ['example.com/web:1.4.2', 'example.com/web:1.5.0@sha256:00']

/** Where the reference is, as the loader says it. */
function edit(text: string): string {
  const offset = /["']?example/.exec(text)?.index ?? 0
  const before = text.slice(0, offset).split('\n')
  const column = (before.at(-1)?.length ?? 0) + 1
  return editReference(text, { line: before.length, column, from, to })
}

describe('editReference()', () => {
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
})
