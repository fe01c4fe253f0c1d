/**
 * What the store knows by name: images, and the references that point at them.
 *
 *   <root>/images/<hex of id>.json      Image
 *   <root>/references.json              canonical reference -> image id
 *   <root>/replaced/<hex of id>         mark: the image has lost its last name to another image
 *   <root>/sources/<hex>.json           SourceRecord: what a host file or archive has given, while it is unchanged
 *   <root>/host/<key of layer>          the diffId of a host layer with that content
 *
 * Small, read once when the store opens, written atomically. Names are safe from power failures; the rest can be made
 * again from its sources. An image is recorded after all its layers, and counts only
 * while all of them are there.
 */
import fs from 'node:fs'
import path from 'node:path'
import {
  readJsonIfThere,
  sweepDrafts,
  writeFileAtomically,
  writeFileDurably,
} from './atomic-file.ts'
import { lstatIfThere, versionOf } from './host-file.ts'
import { digestOf, hexOf, isDigest, type Digest, type Image } from './image.ts'

/** A source outside the store, and the image made of it. */
export interface SourceRecord {
  readonly reference: string
  readonly imageId: Digest
  /** While all of these hold, so does `imageId`: path and version (host-file.ts). */
  readonly inputs: readonly (readonly [path: string, version: string])[]
}

/** Removes what does not count: damaged records, and images that lack a layer. */
function readImages(directory: string, isComplete: (image: Image) => boolean): Map<Digest, Image> {
  const images = new Map<Digest, Image>()
  for (const name of fs.readdirSync(directory)) {
    const file = path.join(directory, name)
    const image = readJsonIfThere(file) as Image | undefined
    if (image !== undefined && `${hexOf(image.id)}.json` === name && isComplete(image))
      images.set(image.id, image)
    else fs.rmSync(file, { force: true })
  }
  return images
}

/** Opened once for each store. */
export class ImageRecords {
  readonly #directory: (name: 'images' | 'sources' | 'host' | 'replaced') => string
  readonly #referencesFile: string
  readonly #images: Map<Digest, Image>
  readonly #references: Map<string, Digest>
  readonly #sources = new Map<string, SourceRecord>()
  #saving: Promise<void> = Promise.resolve()

  /** @param isComplete - whether all layers of an image are in the store; an image without them does not count */
  constructor(root: string, isComplete: (image: Image) => boolean) {
    this.#directory = (name) => path.join(root, name)
    this.#referencesFile = path.join(root, 'references.json')
    for (const name of ['images', 'sources', 'host', 'replaced'] as const) {
      fs.mkdirSync(this.#directory(name), { recursive: true, mode: 0o700 })
      sweepDrafts(this.#directory(name))
    }
    sweepDrafts(root) // of the references
    this.#images = readImages(this.#directory('images'), isComplete)
    const stored = (readJsonIfThere(this.#referencesFile) ?? {}) as Record<string, Digest>
    this.#references = new Map(Object.entries(stored).filter(([, id]) => this.#images.has(id)))
  }

  get images(): ReadonlyMap<Digest, Image> {
    return this.#images
  }

  /** Canonical reference -> image id. */
  get references(): ReadonlyMap<string, Digest> {
    return this.#references
  }

  addImage(image: Image): void {
    if (this.#images.has(image.id)) return // the id says all that is in it
    writeFileAtomically(this.#imageFile(image.id), JSON.stringify(image))
    this.#images.set(image.id, image)
  }

  removeImage(id: Digest): void {
    this.#images.delete(id)
    fs.rmSync(this.#imageFile(id), { force: true })
    fs.rmSync(this.#replacedMark(id), { force: true })
  }

  /** Whether nobody but a newer image took its last name: nobody has asked for it to be without one. */
  isReplaced(id: Digest): boolean {
    return fs.existsSync(this.#replacedMark(id))
  }

  /** Counts at once; resolves when it is on the disk. */
  setReference(reference: string, id: Digest): Promise<void> {
    const before = this.#references.get(reference)
    if (before === id) return Promise.resolve()
    this.#references.set(reference, id)
    if (before !== undefined && ![...this.#references.values()].includes(before))
      fs.writeFileSync(this.#replacedMark(before), '')
    fs.rmSync(this.#replacedMark(id), { force: true })
    return this.#saveReferences()
  }

  removeReference(reference: string): Promise<void> {
    this.#sources.delete(reference)
    fs.rmSync(this.#sourceFile(reference), { force: true })
    return this.#references.delete(reference) ? this.#saveReferences() : Promise.resolve()
  }

  /** The image of a source, if nothing that it was made of has changed since. Costs one lstat(2) for each input. */
  findSource(reference: string): Image | undefined {
    const record = this.#source(reference)
    const image = record === undefined ? undefined : this.#images.get(record.imageId)
    if (record === undefined || image === undefined) return undefined
    const isFresh = record.inputs.every(
      ([file, version]) => versionOf(lstatIfThere(file)) === version,
    )
    return isFresh ? image : undefined
  }

  setSource(record: SourceRecord): void {
    writeFileAtomically(this.#sourceFile(record.reference), JSON.stringify(record))
    this.#sources.set(record.reference, record)
  }

  findHostLayer(key: string): Digest | undefined {
    try {
      const diffId = fs.readFileSync(path.join(this.#directory('host'), key), 'utf8')
      return isDigest(diffId) ? diffId : undefined
    } catch {
      return undefined
    }
  }

  setHostLayer(key: string, diffId: Digest): void {
    writeFileAtomically(path.join(this.#directory('host'), key), diffId)
  }

  /** Forgets what points at images or layers that are gone. */
  prune(hasLayer: (diffId: Digest) => boolean): void {
    for (const key of fs.readdirSync(this.#directory('host'))) {
      const diffId = this.findHostLayer(key)
      if (diffId === undefined || !hasLayer(diffId))
        fs.rmSync(path.join(this.#directory('host'), key))
    }
    for (const name of fs.readdirSync(this.#directory('sources'))) {
      const file = path.join(this.#directory('sources'), name)
      const record = readJsonIfThere(file) as SourceRecord | undefined
      if (record === undefined || !this.#images.has(record.imageId)) fs.rmSync(file)
    }
  }

  #replacedMark(id: Digest): string {
    return path.join(this.#directory('replaced'), hexOf(id))
  }

  #imageFile(id: Digest): string {
    return path.join(this.#directory('images'), `${hexOf(id)}.json`)
  }

  #sourceFile(reference: string): string {
    return path.join(this.#directory('sources'), `${hexOf(digestOf(reference))}.json`)
  }

  #source(reference: string): SourceRecord | undefined {
    const record =
      this.#sources.get(reference) ??
      (readJsonIfThere(this.#sourceFile(reference)) as SourceRecord | undefined)
    if (record?.reference !== reference) return undefined
    this.#sources.set(reference, record)
    return record
  }

  /** Writes one after the other, so that the last content is the last change. */
  #saveReferences(): Promise<void> {
    const save = this.#saving.then(async () => {
      const sorted = [...this.#references].sort(([a], [b]) => (a < b ? -1 : 1))
      const text = JSON.stringify(Object.fromEntries(sorted), null, 1)
      await writeFileDurably(this.#referencesFile, text)
    })
    this.#saving = save.catch(() => undefined)
    return save
  }
}
