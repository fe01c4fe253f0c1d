/** All images of an archive: what `docker save`, `tsstack image save` and skopeo write. */
import { readDocument, type ArchiveFiles } from './archive-files.ts'
import {
  canonicalName,
  countDockerImages,
  readDockerArchive,
  readOciLayout,
  type ArchivedImage,
} from './archive-image.ts'
import { addArchived } from './archive-resolve.ts'
import type { Image } from './image.ts'
import { isFor, parseManifest } from './manifest.ts'
import type { StoreParts } from './store-parts.ts'
import { TsstackError } from '../../errors.ts'

export interface LoadedImage {
  readonly image: Image
  /** Canonical. */
  readonly names: readonly string[]
}

const MAX_IMAGES = 1000

/** One manifest may have several names: an entry for each. */
async function readLayout(files: ArchiveFiles): Promise<ArchivedImage[]> {
  const index = parseManifest(await readDocument(files, 'index.json'), 'index.json')
  const entries = index.kind === 'index' ? index.entries.filter((entry) => isFor(entry)) : []
  const images = new Map<string, ArchivedImage>()
  for (const { digest, annotations } of entries.slice(0, MAX_IMAGES)) {
    const known = images.get(digest)
    const image = known ?? (await readOciLayout(files, digest))
    const name = annotations['io.containerd.image.name']
    const names =
      name === undefined ? image.names : [...(known?.names ?? []), ...canonicalName(name)]
    images.set(digest, { ...image, names })
  }
  return [...images.values()]
}

async function readImages(files: ArchiveFiles): Promise<ArchivedImage[]> {
  if (files.has('index.json')) return readLayout(files)
  if (!files.has('manifest.json')) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      'Cannot read image archive: it has neither index.json nor manifest.json',
      { hint: 'A file system without an image around it is for "tsstack image import"' },
    )
  }
  const count = await countDockerImages(files)
  const images: ArchivedImage[] = []
  for (let index = 0; index < count; index++) images.push(await readDockerArchive(files, { index }))
  return images
}

/**
 * Imports every image of an archive that runs here. All are read before the first is imported.
 * @throws {INVALID_ARGUMENT} malformed or hostile; {FAILED_PRECONDITION} for another machine
 */
export async function loadArchive(parts: StoreParts, files: ArchiveFiles): Promise<LoadedImage[]> {
  const images = await readImages(files)
  if (images.length === 0) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      'Cannot load: the archive has no image for this machine',
    )
  }
  const loaded: LoadedImage[] = []
  for (const archived of images)
    loaded.push({ image: await addArchived(parts, archived), names: archived.names })
  return loaded
}
