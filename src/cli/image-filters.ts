/** `image ls --filter` and its argument: which images are shown, as Docker chooses them. */
import path from 'node:path'
import type { ImageListEntry } from '../api/image-types.ts'
import { TsstackError } from '../errors.ts'
import { filterMoment, hasLabel, parseFilters } from '../spec/filters.ts'
import { splitReference } from './image-reference.ts'

type Test = (image: ImageListEntry) => boolean

const KEYS = ['before', 'dangling', 'label', 'reference', 'since', 'until'] as const

export interface ImageFilterSources {
  readonly nowMs: number
  /** When an image was made, by its name or ID. RFC 3339. */
  readonly createdAt: (name: string) => Promise<string>
}

function danglingTest(text: string): Test {
  if (!/^(true|false|1|0)$/.test(text))
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `invalid filter "dangling=${text}": not true or false`,
    )
  const isDangling = text === 'true' || text === '1'
  return ({ reference }) => (reference === undefined) === isDangling
}

/** @param pattern - of `NAME:TAG`, or of NAME; `*` and `?` match no slash */
export function matchesReference({ reference }: ImageListEntry, pattern: string): boolean {
  if (reference === undefined) return false
  const [repository] = splitReference(reference)
  return [reference, repository].some((text) => path.matchesGlob(text, pattern))
}

/**
 * The test of all filters. Of `reference` one has to fit, of the others all.
 * @throws {INVALID_ARGUMENT} {NOT_FOUND} no such image
 */
export async function imageFilter(
  filters: readonly string[],
  { nowMs, createdAt }: ImageFilterSources,
): Promise<Test> {
  const wanted = parseFilters(filters, KEYS)
  const values = (key: (typeof KEYS)[number]): readonly string[] => wanted.get(key) ?? []
  const timeOf = async (name: string): Promise<number> => Date.parse(await createdAt(name))
  const made = ({ createdAt: text }: ImageListEntry): number => Date.parse(text)
  const before = await Promise.all(values('before').map(timeOf))
  const since = await Promise.all(values('since').map(timeOf))
  const until = values('until').map((text) => filterMoment(text, nowMs))
  const patterns = values('reference')
  const tests: Test[] = [
    ...values('dangling').map(danglingTest),
    ...values('label').map(
      (label): Test =>
        ({ labels }) =>
          hasLabel(labels, label),
    ),
    ...[...before, ...until].map(
      (time): Test =>
        (image) =>
          made(image) < time,
    ),
    ...since.map(
      (time): Test =>
        (image) =>
          made(image) > time,
    ),
    (image) =>
      patterns.length === 0 || patterns.some((pattern) => matchesReference(image, pattern)),
  ]
  return (image) => tests.every((test) => test(image))
}
