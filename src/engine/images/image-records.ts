/**
 * What the store knows by name: images, and the references that point at them.
 *
 *   <root>/images/<hex of id>.json      Image
 *   <root>/references.json              canonical reference -> image id
 *   <root>/sources/<hex>.json           SourceRecord: what a host file or archive has given, while it is unchanged
 *   <root>/host/<key of layer>          the diffId of a host layer with that content
 *
 * Small, read once when the store opens, written atomically. An image is recorded after all its layers, and counts only
 * while all of them are there.
 */
import fs from 'node:fs'
import path from 'node:path'
import { readJsonIfThere, writeFileAtomically } from './atomic-file.ts'
import { lstatIfThere, versionOf } from './host-file.ts'
import { digestOf, hexOf, isDigest, type Digest, type Image } from './image.ts'

/** A source outside the store, and the image made of it. */
export interface SourceRecord {
  readonly reference: string
  readonly imageId: Digest
  /** While all of these hold, so does `imageId`: path and version (host-file.ts). */
  readonly inputs: readonly (readonly [path: string, version: string])[]
}

export interface ImageRecords {
  readonly images: ReadonlyMap<Digest, Image>
  /** canonical reference -> image id. */
  readonly references: ReadonlyMap<string, Digest>
  readonly addImage: (image: Image) => void
  readonly removeImage: (id: Digest) => void
  readonly setReference: (reference: string, id: Digest) => void
  readonly removeReference: (reference: string) => void
  /** The image of a source, if nothing that it was made of has changed since. Costs one lstat(2) for each input. */
  readonly findSource: (reference: string) => Image | undefined
  readonly setSource: (record: SourceRecord) => void
  readonly findHostLayer: (key: string) => Digest | undefined
  readonly setHostLayer: (key: string, diffId: Digest) => void
  /** Forgets what points at images or layers that are gone. */
  readonly prune: (hasLayer: (diffId: Digest) => boolean) => void
}

function readImages(directory: string): Map<Digest, Image> {
  const images = new Map<Digest, Image>()
  for (const name of fs.readdirSync(directory)) {
    const image = readJsonIfThere(path.join(directory, name)) as Image | undefined
    if (image !== undefined && `${hexOf(image.id)}.json` === name) images.set(image.id, image)
  }
  return images
}

/** @param isComplete - whether all layers of an image are in the store */
export function openImageRecords(
  root: string,
  isComplete: (image: Image) => boolean,
): ImageRecords {
  const [imagesDir, sourcesDir, hostDir] = ['images', 'sources', 'host'].map((name) => {
    const directory = path.join(root, name)
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
    return directory
  }) as [string, string, string]
  const referencesFile = path.join(root, 'references.json')
  const images = readImages(imagesDir)
  for (const image of images.values()) {
    if (!isComplete(image)) images.delete(image.id)
  }
  const stored = readJsonIfThere(referencesFile) as Record<string, Digest> | undefined
  const references = new Map(Object.entries(stored ?? {}).filter(([, id]) => images.has(id)))
  const sources = new Map<string, SourceRecord>()

  const sourceFile = (reference: string): string =>
    path.join(sourcesDir, `${hexOf(digestOf(reference))}.json`)
  const saveReferences = (): void => {
    const sorted = [...references].sort(([a], [b]) => (a < b ? -1 : 1))
    writeFileAtomically(referencesFile, JSON.stringify(Object.fromEntries(sorted), null, 1))
  }

  function getSource(reference: string): SourceRecord | undefined {
    const record =
      sources.get(reference) ?? (readJsonIfThere(sourceFile(reference)) as SourceRecord | undefined)
    if (record?.reference !== reference) return undefined
    sources.set(reference, record)
    return record
  }

  return {
    images,
    references,
    addImage(image) {
      images.set(image.id, image)
      writeFileAtomically(path.join(imagesDir, `${hexOf(image.id)}.json`), JSON.stringify(image))
    },
    removeImage(id) {
      images.delete(id)
      fs.rmSync(path.join(imagesDir, `${hexOf(id)}.json`), { force: true })
    },
    setReference(reference, id) {
      if (references.get(reference) === id) return
      references.set(reference, id)
      saveReferences()
    },
    removeReference(reference) {
      if (references.delete(reference)) saveReferences()
      sources.delete(reference)
      fs.rmSync(sourceFile(reference), { force: true })
    },
    findSource(reference) {
      const record = getSource(reference)
      const image = record === undefined ? undefined : images.get(record.imageId)
      const isFresh = record?.inputs.every(
        ([file, version]) => versionOf(lstatIfThere(file)) === version,
      )
      return isFresh === true ? image : undefined
    },
    setSource(record) {
      sources.set(record.reference, record)
      writeFileAtomically(sourceFile(record.reference), JSON.stringify(record))
    },
    findHostLayer(key) {
      try {
        const diffId = fs.readFileSync(path.join(hostDir, key), 'utf8')
        return isDigest(diffId) ? diffId : undefined
      } catch {
        return undefined
      }
    },
    setHostLayer(key, diffId) {
      writeFileAtomically(path.join(hostDir, key), diffId)
    },
    prune(hasLayer) {
      for (const key of fs.readdirSync(hostDir)) {
        const file = path.join(hostDir, key)
        if (!hasLayer(fs.readFileSync(file, 'utf8'))) fs.rmSync(file, { force: true })
      }
      for (const name of fs.readdirSync(sourcesDir)) {
        const record = readJsonIfThere(path.join(sourcesDir, name)) as SourceRecord | undefined
        if (record !== undefined && images.has(record.imageId)) continue
        fs.rmSync(path.join(sourcesDir, name), { force: true })
      }
    },
  }
}
