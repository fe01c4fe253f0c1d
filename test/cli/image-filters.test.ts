import { expect, test } from 'vitest'
import type { ImageListEntry } from '../../src/api/image-types.ts'
import { imageFilter } from '../../src/cli/image-filters.ts'
import { toHistoryRows, toListRows } from '../../src/cli/image-tables.ts'

const NOW = Date.parse('2026-06-10T12:00:00Z')

function image(id: string, createdAt: string, more: Partial<ImageListEntry> = {}): ImageListEntry {
  return { id, createdAt, labels: {}, sizeBytes: 1, containers: 0, ...more }
}

const IMAGES = [
  image('sha256:a', '2026-06-01T00:00:00Z', {
    reference: 'nginx:1.27',
    labels: { tier: 'web', empty: '' },
  }),
  image('sha256:b', '2026-06-05T00:00:00Z', {
    reference: 'registry.example/team/app:dev',
    labels: { tier: 'app' },
    remoteDigest: 'sha256:feed',
  }),
  image('sha256:c', '2026-06-10T11:30:00Z'),
]

test.each<[string[], string]>([
  [[], 'abc'],
  [['dangling=true'], 'c'],
  [['dangling=false'], 'ab'],
  [['label=tier'], 'ab'],
  [['label=tier=web', 'label=empty'], 'a'],
  [['label=tier=we'], ''],
  [['reference=nginx'], 'a'],
  [['reference=ngin*:1.2?'], 'a'],
  [['reference=*'], 'a'], // a star matches no slash
  [['reference=*/*/app:*', 'reference=nginx:9'], 'b'],
  [['reference=registry.example/team/app'], 'b'],
  [['before=nginx:1.27'], ''],
  [['since=nginx:1.27'], 'bc'],
  [['until=1h'], 'ab'],
  [['until=2026-06-02'], 'a'],
  [['since=nginx:1.27', 'dangling=false'], 'b'],
])('imageFilter() of %j shows %s', async (filters, ids) => {
  const matches = await imageFilter(filters, {
    nowMs: NOW,
    createdAt: (name) =>
      Promise.resolve(IMAGES.find(({ reference }) => reference === name)?.createdAt ?? ''),
  })
  const shown = IMAGES.filter(matches).map(({ id }) => id.slice('sha256:'.length))
  expect(shown.join('')).toBe(ids)
})

test.each(['dangling=maybe', 'colour=red', 'label', 'until=soon'])(
  'imageFilter() refuses %s',
  async (filter) => {
    const sources = { nowMs: NOW, createdAt: () => Promise.resolve('') }
    await expect(imageFilter([filter], sources)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(`invalid filter "${filter}"`) as string,
    })
  },
)

test('toListRows() has the fields that people use of docker images', () => {
  const [app] = toListRows(IMAGES.slice(1), { nowMs: NOW, isFull: true })
  expect(app).toEqual({
    Repository: 'registry.example/team/app',
    Tag: 'dev',
    Digest: 'sha256:feed',
    ID: 'sha256:b',
    CreatedAt: '2026-06-05T00:00:00Z',
    CreatedSince: '5 days ago',
    Size: '1B',
    Containers: '0',
  })
})

test('toHistoryRows() names the image at its last step alone, and has bytes where they are asked for', () => {
  const step = { created: '2026-06-10T11:00:00Z', createdBy: 'RUN make', comment: '' }
  const entries = [
    { ...step, sizeBytes: 1500 },
    { ...step, sizeBytes: 0 },
  ]
  const options = { id: `sha256:${'ab'.repeat(32)}`, nowMs: NOW, isFull: false }
  expect(
    toHistoryRows(entries, { ...options, isHuman: true }).map(({ ID, CreatedSince, Size }) => [
      ID,
      CreatedSince,
      Size,
    ]),
  ).toEqual([
    ['abababababab', 'About an hour ago', '1.5kB'],
    ['<missing>', 'About an hour ago', '0B'],
  ])
  expect(toHistoryRows(entries, { ...options, isHuman: false })[0]).toMatchObject({
    CreatedSince: step.created,
    Size: '1500',
  })
})
