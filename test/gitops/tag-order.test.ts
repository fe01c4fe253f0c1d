/** Which tag is the newest: the examples of Flux's documentation, and what registries really have. */
import { describe, expect, test } from 'vitest'
import { isNewerTag, newestTag, rangeProblem } from '../../src/gitops/tag-order.ts'
import { matchTags } from '../../src/gitops/tag-pattern.ts'
import type { ImagePolicy } from '../../src/spec/stack.ts'

const newest = async (policy: ImagePolicy, tags: readonly string[]): Promise<string | undefined> =>
  newestTag(policy, await matchTags(policy, tags))?.tag

describe('newestTag()', () => {
  test.each<[ImagePolicy, readonly string[], string | undefined]>([
    [{ semver: '^1.4' }, ['1.4.2', '1.10.0', '1.9.9', '2.0.0', '1.11.0-rc.1', 'latest'], '1.10.0'],
    [{ semver: '>=1.0 <1.5' }, ['v1.4.9', '1.4.10', '1.5.0'], '1.4.10'],
    [{ semver: '*' }, ['latest', 'edge', '1', '1.2'], undefined],
    [{ semver: '>=2.0.0-0' }, ['2.0.0-rc.2', '2.0.0-rc.10'], '2.0.0-rc.10'],
    [{ semver: '1.x' }, ['1.0.0+b2', '1.0.0+b10'], '1.0.0+b2'],
    [{ numerical: 'asc' }, ['9', '10', 'x', '10.5', '10.25'], '10.5'],
    [{ numerical: 'desc' }, ['9', '10', '8'], '8'],
    [
      { numerical: 'asc' },
      ['20240102030405060708090', '20240102030405060708091'],
      '20240102030405060708091',
    ],
    [{ alphabetical: 'asc' }, ['a', 'c', 'b', 'Z'], 'c'],
    [{ alphabetical: 'desc' }, ['b', 'a'], 'a'],
    [
      { pattern: '^main-[a-f0-9]+-(?P<ts>[0-9]+)$', extract: '$ts', numerical: 'asc' },
      ['main-ff00aa-100', 'main-00aabb-99', 'dev-123456-900', 'main-ab-1000x'],
      'main-ff00aa-100',
    ],
    [
      { pattern: '^(?P<v>[0-9.]+)-alpine$', extract: '${v}', semver: '^3' },
      ['3.2.1-alpine', '3.10.0-alpine', '3.11.0'],
      '3.10.0-alpine',
    ],
    [{ pattern: '^rel-(\\d+)$', extract: '$1.0.0', semver: '*' }, ['rel-2', 'rel-10'], 'rel-10'],
    [{ pattern: '^v', semver: '*' }, [], undefined],
    [{ digest: true }, ['a'], undefined],
  ])('%j of %j is %s', async (policy, tags, expected) => {
    expect(await newest(policy, tags)).toBe(expected)
    expect(await newest(policy, tags.toReversed())).toBe(expected)
  })
})

test('isNewerTag() is true only for what is newer, and for what replaces something that does not count', () => {
  expect(isNewerTag({ semver: '*' }, '1.10.0', '1.9.0')).toBe(true)
  expect(isNewerTag({ semver: '*' }, '1.9.0', '1.10.0')).toBe(false)
  expect(isNewerTag({ semver: '*' }, 'v1.9.0', '1.9.0')).toBe(false)
  expect(isNewerTag({ semver: '*' }, '1.9.0', 'latest')).toBe(true)
})

test('rangeProblem() names what is no range', () => {
  expect(rangeProblem({ semver: '^1.4 || 2.x' })).toBeUndefined()
  expect(rangeProblem({ semver: 'newest' })).toBe('"newest" is no range of versions')
})

describe('matchTags()', () => {
  test('takes a pattern that another engine would never be done with', async () => {
    const tags = Array.from({ length: 1000 }, (_, index) => `${'a'.repeat(100)}${String(index)}`)
    const begun = performance.now()
    expect(await matchTags({ pattern: '^(a+)+$' }, tags)).toEqual([])
    expect(performance.now() - begun).toBeLessThan(5000)
  })

  test.each([
    ['(', 'missing'],
    ['(?<=x)a', 'invalid'],
    ['a'.repeat(501), 'too long'],
  ])('refuses %s', async (pattern, message) => {
    await expect(matchTags({ pattern }, ['a'])).rejects.toThrow(message)
  })
})
