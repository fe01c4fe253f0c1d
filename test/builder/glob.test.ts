import fc from 'fast-check'
import { expect, it, test } from 'vitest'
import { compileGlob } from '../../src/builder/glob.ts'

// What Go's path/filepath tests say of Match, and moby/patternmatcher of "**".
test.each([
  ['abc', 'abc', true],
  ['*', 'abc', true],
  ['*c', 'abc', true],
  ['a*', 'a', true],
  ['a*', 'ab/c', false],
  ['a*/b', 'abc/b', true],
  ['a*/b', 'a/c/b', false],
  ['a*b*c*d*e*/f', 'axbxcxdxe/f', true],
  ['a*b*c*d*e*/f', 'axbxcxdxexxx/f', true],
  ['a*b*c*d*e*/f', 'axbxcxdxe/xxx/f', false],
  ['a*b?c*x', 'abxbbxdbxebxczzx', true],
  ['a*b?c*x', 'abxbbxdbxebxczzy', false],
  ['ab[c]', 'abc', true],
  ['ab[b-d]', 'abc', true],
  ['ab[e-g]', 'abc', false],
  ['ab[^c]', 'abc', false],
  ['ab[^e-g]', 'abc', true],
  ['ab[!c]', 'ab!', true],
  ['ab[!c]', 'abx', false],
  ['a\\*b', 'a*b', true],
  ['a\\*b', 'ab', false],
  ['a?b', 'a☺b', true],
  ['a???b', 'a☺b', false],
  ['[a-ζ]*', 'α', true],
  ['*[a-ζ]', 'A', false],
  ['a?b', 'a/b', false],
  ['a*b', 'a/b', false],
  ['[\\]a]', ']', true],
  ['[\\-x]', '-', true],
  ['[x\\-]', 'z', false],
  ['*x', 'xxx', true],
  ['**', 'a/b', true],
  ['**/', 'file/', true],
  ['**/file', 'file', true],
  ['**/file', 'dir/dir/file', true],
  ['**/file', 'dir/xfile', false],
  ['dir/**', 'dir/file/x', true],
  ['dir/**', 'dir', false],
  ['**/dir2/*', 'dir/dir2/file', true],
  ['**/dir2/*', 'dir/dir2/dir3/file', false],
  ['**/**/file', 'dir/dir2/file', true],
  ['a/**/b', 'a/b', true],
  ['a/**/b', 'a/x/y/b', true],
  ['a/**/b', 'a/xb', false],
  ['a**/*txt', 'a/file/file.txt', true],
  ['a**b', 'a/x/b', true],
  ['*a**b*', 'xa/b', true],
  ['.*', '.foo', true],
  ['a(b)c/d', 'a(b)c/d', true],
])('%s and %s: %s', (pattern, path, expected) => {
  expect(compileGlob(pattern)(path)).toBe(expected)
})

it.each(['[', 'a[', '[^', '[a-', '[]a]', 'a\\'])('compileGlob() refuses %s', (pattern) => {
  expect(() => compileGlob(pattern)).toThrow(`Cannot use pattern "${pattern}"`)
})

it('compileGlob() does what the regular expression of patternmatcher does', () => {
  const part = fc.constantFrom('a', 'b', '/', '*', '?', '**', '**/')
  const letter = fc.constantFrom('a', 'b', '/')
  const [patterns, paths] = [fc.array(part, { maxLength: 8 }), fc.array(letter, { maxLength: 9 })]
  fc.assert(
    fc.property(patterns, paths, (parts, letters) => {
      const [pattern, path] = [parts.join(''), letters.join('')]
      const source = pattern.replaceAll(/\*\*\/|\*\*|\*|\?/g, (wild) =>
        wild === '**/' ? '(?:.*/)?' : wild === '**' ? '.*' : wild === '*' ? '[^/]*' : '[^/]',
      )
      expect(compileGlob(pattern)(path)).toBe(new RegExp(`^${source}$`, 's').test(path))
    }),
    { numRuns: 3000 },
  )
})

it('compileGlob() is done with a hostile pattern at once', () => {
  const hostile = compileGlob(`${'*a'.repeat(100)}*b`)
  expect(hostile('a'.repeat(4000))).toBe(false)
})
