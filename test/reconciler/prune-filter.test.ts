import { expect, test } from 'vitest'
import { pruneFilter } from '../../src/reconciler/prune-filter.ts'

const NOW = Date.parse('2026-06-10T12:00:00Z')
const THINGS = [
  { createdAt: '2026-06-01T00:00:00Z', labels: { keep: '' } },
  { createdAt: '2026-06-10T11:00:00Z', labels: { tier: 'web' } },
  { labels: { tier: 'db' } },
]

test.each<[string[], number[]]>([
  [[], [0, 1, 2]],
  [['until=24h'], [0]],
  [['until=30m'], [0, 1]],
  [['label=tier'], [1, 2]],
  [['label=tier=web'], [1]],
  [['label!=keep'], [1, 2]],
  [['label!=tier=web', 'label=tier'], [2]],
  [['label=tier', 'label=keep'], []],
])('pruneFilter() of %j takes %j', (filters, taken) => {
  const matches = pruneFilter(filters, NOW)
  expect(THINGS.flatMap((thing, index) => (matches(thing) ? [index] : []))).toEqual(taken)
})

test.each(['until=soon', 'dangling=true', 'label'])('pruneFilter() refuses %s', (filter) => {
  expect(() => pruneFilter([filter], NOW)).toThrow(`invalid filter "${filter}"`)
})
