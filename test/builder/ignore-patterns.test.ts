import { expect, it } from 'vitest'
import { ignoreLines, readIgnorePatterns } from '../../src/builder/ignore-patterns.ts'

function ignored(text: string, files: readonly string[]): string[] {
  const patterns = readIgnorePatterns(ignoreLines(text))
  return files.filter((file) => patterns.ignores(file))
}

it.each([
  ['*.log', ['a.log', 'sub/b.log'], ['a.log']],
  ['**/*.log', ['a.log', 'sub/b.log', 'a.txt'], ['a.log', 'sub/b.log']],
  [
    'node_modules/',
    ['node_modules', 'node_modules/x/y', 'z'],
    ['node_modules', 'node_modules/x/y'],
  ],
  ['*\n!keep', ['keep', 'keep/below', 'other'], ['other']],
  [
    'docs\n!docs/*.md\ndocs/secret.md',
    ['docs/a.md', 'docs/a.txt', 'docs/secret.md'],
    ['docs/a.txt', 'docs/secret.md'],
  ],
  ['/top', ['top', 'sub/top'], ['top']],
  ['# comment\n\n  spaced  ', ['spaced', '# comment'], ['spaced']],
  ['te?t[0-9]', ['test1', 'testx', 'te/t1'], ['test1']],
])('ignores() of %j', (text, files, expected) => {
  expect(ignored(text, files)).toEqual(expected)
})

it('readIgnorePatterns() refuses a pattern that is not closed', () => {
  expect(() => readIgnorePatterns(['a['])).toThrow('Cannot use pattern "a["')
})
