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
  ['./a//b/../c/', ['a/c/x', 'a/b'], ['a/c/x']],
  ['\uFEFFa\r\nb \r\n', ['a', 'b', 'c'], ['a', 'b']],
  [' #x\n\\#y', ['#x', '#y'], ['#x', '#y']],
  ['a*/b', ['ab/b/c', 'a/x/b'], ['ab/b/c']],
  ['**', ['a', 'a/b'], ['a', 'a/b']],
  ['**/b\n!a/**', ['b/x', 'a/b', 'c/b'], ['b/x', 'c/b']],
  ['!a\na', ['a'], ['a']],
  ['a\n! /a/b/', ['a/b/c', 'a/c'], ['a/c']],
  ['.\n../x\n/', ['a', 'x'], []],
  ['te?t[0-9]', ['test1', 'testx', 'te/t1'], ['test1']],
])('ignores() of %j', (text, files, expected) => {
  expect(ignored(text, files)).toEqual(expected)
})

it.each(['a[', '!'])('readIgnorePatterns() refuses "%s"', (pattern) => {
  expect(() => readIgnorePatterns([pattern])).toThrow(`Cannot use pattern "${pattern}"`)
})
