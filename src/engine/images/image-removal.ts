/** Removing images: names first, then what nothing names and nothing uses. */
import { TsstackError } from '../../errors.ts'
import { isDigest, type Digest, type Image } from './image.ts'
import { measureImages, type ImagesInUse } from './image-usage.ts'
import { familiarReference, formatReference, parseReference } from './reference.ts'
import type { StoreParts } from './store-parts.ts'

/** What is gone. */
export interface RemovedImages {
  /** As people write them. */
  readonly untagged: readonly string[]
  readonly deleted: readonly Digest[]
  /** Bytes on the disk. */
  readonly reclaimedBytes: number
}

export interface Removal {
  readonly parts: StoreParts
  readonly inUse: () => ImagesInUse
  readonly isAll: boolean
  readonly replacedOnly: boolean
  readonly matches: (image: Image) => boolean
  readonly find: (reference: string) => Image
  readonly collectGarbage: () => Promise<void>
}

/** Users that a message names. */
const MAX_NAMED = 3

function namesOf({ records }: StoreParts, id: Digest): string[] {
  return [...records.references].filter(([, other]) => other === id).map(([name]) => name)
}

/** The names that are meant: one, or for an id all that the image has. */
function meantNames(
  { parts, find, isAll }: Removal,
  text: string,
): { id: Digest; names: string[] } {
  if (!isDigest(text)) {
    const canonical = formatReference(parseReference(text))
    const id = parts.records.references.get(canonical)
    if (id !== undefined) return { id, names: [canonical] }
  }
  const { id } = find(text)
  const names = namesOf(parts, id)
  if (names.length <= 1 || isAll) return { id, names }
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot remove image "${text}": it has ${names.length} names`,
    { hint: `Remove them by name, or with --force: ${names.map(familiarReference).join(', ')}` },
  )
}

/** See `ImageStore.remove`. */
export async function removeImage(removal: Removal, text: string): Promise<RemovedImages> {
  const { records } = removal.parts
  const { id, names } = meantNames(removal, text)
  const isLast = namesOf(removal.parts, id).length <= names.length
  const users = removal.inUse().get(id) ?? []
  if (isLast && users.length > 0) {
    const more = users.length > MAX_NAMED ? ` and ${users.length - MAX_NAMED} more` : ''
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot remove image "${text}": it is used by ${users.slice(0, MAX_NAMED).join(', ')}${more}`,
    )
  }
  // Measured before the image goes: its layers are counted by the images that have them.
  const before = measureImages(removal.parts, new Map()).totalBytes
  for (const name of names) await records.removeReference(name)
  const untagged = names.map(familiarReference)
  // Meanwhile it may have got another name, or a container.
  if (namesOf(removal.parts, id).length > 0 || removal.inUse().has(id))
    return { untagged, deleted: [], reclaimedBytes: 0 }
  records.removeImage(id)
  await removal.collectGarbage()
  const after = measureImages(removal.parts, new Map()).totalBytes
  return { untagged, deleted: [id], reclaimedBytes: before - after }
}

/** See `ImageStore.prune`. */
export async function pruneImages(removal: Removal): Promise<RemovedImages> {
  const { parts, inUse, isAll, replacedOnly, matches } = removal
  const { records } = parts
  const usage = (): number => {
    const { totalBytes, partialBytes } = measureImages(parts, new Map())
    return totalBytes + partialBytes
  }
  const before = usage()
  const untagged: string[] = []
  if (isAll) {
    for (const [name, id] of [...records.references]) {
      const image = records.images.get(id)
      if (inUse().has(id) || (image !== undefined && !matches(image))) continue
      await records.removeReference(name)
      untagged.push(familiarReference(name))
    }
    parts.leases.sweep(true)
  }
  const named = new Set(records.references.values())
  const used = inUse()
  const deleted = [...records.images.values()]
    .filter((image) => !named.has(image.id) && !used.has(image.id) && matches(image))
    .map(({ id }) => id)
    .filter((id) => !replacedOnly || records.isReplaced(id))
  for (const id of deleted) records.removeImage(id)
  await removal.collectGarbage()
  return { untagged, deleted, reclaimedBytes: before - usage() }
}
