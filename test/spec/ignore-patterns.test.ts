import { describe, expect, test } from 'vitest'
import { compileIgnorePatterns, parseIgnoreFile } from '../../src/spec/ignore-patterns.ts'

/** Pattern, path, whether it or a directory above it matches: the cases of moby's own tests. */
const SINGLE: readonly (readonly [string, string, boolean])[] = [
  ['**', 'file', true],
  ['**', 'dir/file', true],
  ['**/', 'dir/file', true],
  ['**/**', 'dir/file', true],
  ['dir/**', 'dir/file', true],
  ['dir/**', 'dir/dir2/file', true],
  ['**/dir', 'dir', true],
  ['**/dir', 'dir/file', true],
  ['**/dir2/*', 'dir/dir2/file', true],
  ['**/dir2/**', 'dir/dir2/dir3/file', true],
  ['**file', 'file', true],
  ['**file', 'dir/file', true],
  ['**file', 'dir/dir/file', true],
  ['**/file', 'dir/dir/file', true],
  ['**/file*', 'dir/dir/file.txt', true],
  ['**/file*.txt*', 'dir/dir/file.txt', true],
  ['**/**/*.txt', 'dir/dir/file.txt', true],
  ['**/**/*.txt2', 'dir/dir/file.txt', false],
  ['**/*.txt', 'file.txt', true],
  ['a**/*.txt', 'a/file.txt', true],
  ['a**/*.txt', 'a/dir/dir/file.txt', true],
  ['a/*.txt', 'a/dir/file.txt', false],
  ['a/*.txt**', 'a/file.txt', true],
  ['a[b-d]e', 'ae', false],
  ['a[b-d]e', 'ace', true],
  ['a[b-d]e', 'aae', false],
  ['a[^b-d]e', 'aze', true],
  ['.*', '.foo', true],
  ['.*', 'foo', false],
  ['abc.def', 'abcZdef', false],
  ['abc?def', 'abcZdef', true],
  ['abc?def', 'abcdef', false],
  ['**/foo/bar', 'dir/dir2/foo/bar', true],
  ['abc/**', 'abc', false],
  ['abc/**', 'abc/def/ghi', true],
  ['**/.foo', 'bar.foo', false],
  ['a(b)c/def', 'a(b)c/def', true],
  ['a.|)$(}+{bc', 'a.|)$(}+{bc', true],
  ['dist/*.whl', 'dist/proxy.py-2.4.0rc3+g08acad9-py3.whl', true],
  ['my-*', 'my-file', true],
  ['a\\*b', 'a*b', true],
  ['a\\*b', 'ab', false],
  ['a*', 'ab/c', true],
  ['a*/b', 'a/c/b', false],
  ['a*b*c*d*e*/f', 'axbxcxdxexxx/f', true],
  ['a?b', 'a☺b', true],
  ['a???b', 'a☺b', false],
  ['a?b', 'a/b', false],
  ['[\\]a]', ']', true],
  ['[x\\-]', '-', true],
  ['[\\-x]', 'a', false],
  ['node_modules/', 'node_modules/x/index.js', true],
  ['./src/../gen', 'gen/a', true],
]

const SEVERAL: readonly (readonly [readonly string[], string, boolean])[] = [
  [['**', '!util/docker/web'], 'util/docker/web/foo', false],
  [['**', '!util/docker/web', 'util/docker/web/foo'], 'util/docker/web/foo', true],
  [['docs', '!docs/README.md'], 'docs/README.md', false],
  [['docs', '!docs/README.md'], 'docs/other.md', true],
  [['!fileutils.go', '*.go'], 'fileutils.go', true],
  [['*.go', '!fileutils.go'], 'fileutils.go', false],
  [['*', '!src'], 'src/deep/a.js', false],
  [['*', '!src'], 'package.json', true],
  [[], 'any/path', false],
]

describe('compileIgnorePatterns()', () => {
  test.each(SINGLE)('%s on %s: %s', (pattern, path, expected) => {
    expect(compileIgnorePatterns([pattern]).matches(path)).toBe(expected)
  })

  test.each(SEVERAL)('%j on %s: %s', (patterns, path, expected) => {
    expect(compileIgnorePatterns(patterns).matches(path)).toBe(expected)
  })

  test('never names the directory that it is relative to', () => {
    expect(compileIgnorePatterns(['*', '**', '.']).matches('.')).toBe(false)
  })

  test.each(['[', 'a[', '[^', '[]', '[-]', '[x-]', '[a-b-c]', '\\', '!'])(
    'refuses %s',
    (pattern) => {
      expect(() => compileIgnorePatterns([pattern])).toThrow(`Cannot use pattern "${pattern}"`)
    },
  )

  test('says of a directory whether anything below it may be wanted', () => {
    const below = (patterns: readonly string[], directory: string): boolean =>
      compileIgnorePatterns(patterns).matchesAllBelow(directory)
    expect(below(['node_modules'], 'node_modules')).toBe(true)
    expect(below(['node_modules'], 'src')).toBe(false)
    expect(below(['node_modules', '!*.md'], 'node_modules')).toBe(true)
    expect(below(['node_modules', '!node_modules/mine'], 'node_modules')).toBe(false)
    expect(below(['node_modules', '!node_modules/mine'], 'node_modules/other')).toBe(true)
    expect(below(['node_modules', '!**/keep'], 'node_modules/other')).toBe(false)
    expect(below(['a', '!a/*/c'], 'a/b')).toBe(false)
  })
})

describe('parseIgnoreFile()', () => {
  test('leaves comments, blanks, byte order mark and leading slashes out', () => {
    const text = '\ufeff# all of it\n*.log\r\n\n  /build/  \n! /build/keep\n #not a comment\n'
    expect(parseIgnoreFile(text)).toEqual(['*.log', 'build', '!build/keep', '#not a comment'])
  })
})
