/**
 * What is in an image archive, whatever its form: the configuration, and how to open each layer. Forms: an OCI image
 * layout (https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md), what `docker save` writes
 * (manifest.json beside configuration and layers), and containers/image's `dir:`.
 */
import { TsstackError } from '../../errors.ts'
import { readDocument, type ArchiveFiles } from './archive-files.ts'
import { digestOf, hexOf, parseImageConfig, type Digest, type ParsedConfig } from './image.ts'
import type { PackedLayer } from './layer-import.ts'
import {
  isFor,
  parseJson,
  parseManifest,
  type Descriptor,
  type IndexEntry,
  type Manifest,
} from './manifest.ts'
import { parseName } from '../../registry/image-name.ts'
import { formatReference } from './reference.ts'

export interface ArchivedImage {
  readonly config: ParsedConfig
  readonly configBytes: Buffer
  /** As it is in the archive; absent where the form has none. */
  readonly manifestBytes?: Buffer
  /** Lowest first. */
  readonly layers: readonly PackedLayer[]
  /** Names that the archive gives the image, canonical. */
  readonly names: readonly string[]
}

const MAX_INDEX_DEPTH = 4
const REF_NAME = 'org.opencontainers.image.ref.name'
const FULL_NAME = 'io.containerd.image.name'

function bad(state: string, hint?: string): TsstackError {
  const options = hint === undefined ? {} : { hint }
  return new TsstackError('INVALID_ARGUMENT', `Cannot read image archive: ${state}`, options)
}

/** The name that an archive gives an image: none if it is not one. */
export function canonicalName(text: string | undefined): string[] {
  if (text === undefined) return []
  try {
    return [formatReference(parseName(text))]
  } catch {
    return [] // a bare tag or anything else: not a name
  }
}

/** A blob of a known digest. @throws {INVALID_ARGUMENT} missing, or not of that digest */
async function readBlob(files: ArchiveFiles, name: string, digest: Digest): Promise<Buffer> {
  const bytes = await readDocument(files, name)
  const actual = digestOf(bytes)
  if (actual !== digest) throw bad(`blob "${digest}" has digest "${actual}"`)
  return bytes
}

interface FromManifest {
  readonly files: ArchiveFiles
  readonly manifest: Extract<Manifest, { kind: 'image' }>
  readonly manifestBytes: Buffer
  readonly nameOf: (digest: Digest) => string
  readonly names: readonly string[]
}

/** Everything that the manifest names is there and agrees with the configuration. */
async function fromManifest({ files, manifest, ...rest }: FromManifest): Promise<ArchivedImage> {
  const { manifestBytes, nameOf, names } = rest
  const configBytes = await readBlob(files, nameOf(manifest.config.digest), manifest.config.digest)
  const config = parseImageConfig(configBytes)
  if (config.layers.length !== manifest.layers.length) {
    throw bad(
      `the manifest has ${manifest.layers.length} layers, the configuration ${config.layers.length}`,
    )
  }
  const layers = manifest.layers.map((layer: Descriptor, index): PackedLayer => ({
    open: () => files.openFile(nameOf(layer.digest)),
    diffId: config.layers[index] ?? '',
    expected: { digest: layer.digest, size: layer.size },
  }))
  return { config, configBytes, manifestBytes, layers, names }
}

function isNamed(entry: IndexEntry, name: string): boolean {
  return (
    entry.annotations[REF_NAME] === name ||
    entry.annotations[FULL_NAME] === name ||
    entry.digest === name
  )
}

/** The entry that is meant: the one with the name, or the only one that runs here. */
function choose(entries: readonly IndexEntry[], name: string | undefined): IndexEntry {
  const named = name === undefined ? entries : entries.filter((entry) => isNamed(entry, name))
  const known = entries.flatMap(({ annotations }) => annotations[REF_NAME] ?? [])
  const hint = known.length === 0 ? undefined : `Names in it: ${known.slice(0, 20).join(', ')}`
  if (named.length === 0)
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot find image "${name ?? ''}": not in the archive`,
      hint === undefined ? {} : { hint },
    )
  const runnable = named.filter((entry) => isFor(entry))
  const [first, ...others] = runnable
  if (first === undefined) throw bad('it has no image for this machine')
  // Several platforms of one image are alternatives; several images without a name are not.
  if (
    others.length > 0 &&
    others.some((other) => other.annotations[REF_NAME] !== first.annotations[REF_NAME])
  ) {
    throw bad('it holds several images', hint)
  }
  return first
}

/** Reads an OCI image layout. @throws {INVALID_ARGUMENT} {NOT_FOUND} no image of that name */
export async function readOciLayout(
  files: ArchiveFiles,
  name: string | undefined,
): Promise<ArchivedImage> {
  const nameOf = (digest: Digest): string => `blobs/sha256/${hexOf(digest)}`
  let index = parseManifest(await readDocument(files, 'index.json'), 'index.json')
  let wanted = name
  const names: string[] = []
  for (let depth = 0; index.kind === 'index'; depth++) {
    if (depth === MAX_INDEX_DEPTH) throw bad('its indexes are nested too deeply')
    const entry = choose(index.entries, wanted)
    names.push(...canonicalName(entry.annotations[FULL_NAME] ?? entry.annotations[REF_NAME]))
    const manifestBytes = await readBlob(files, nameOf(entry.digest), entry.digest)
    const manifest = parseManifest(manifestBytes, entry.digest)
    if (manifest.kind === 'image')
      return fromManifest({ files, manifest, manifestBytes, nameOf, names })
    index = manifest
    wanted = undefined
  }
  throw bad('"index.json" is not an index')
}

/** Reads containers/image's directory form: manifest.json, and blobs named by their digits. */
export async function readDirectoryLayout(files: ArchiveFiles): Promise<ArchivedImage> {
  const manifestBytes = await readDocument(files, 'manifest.json')
  const manifest = parseManifest(manifestBytes, 'manifest.json')
  if (manifest.kind !== 'image') throw bad('"manifest.json" is an index')
  return fromManifest({ files, manifest, manifestBytes, nameOf: hexOf, names: [] })
}

interface SavedImage {
  readonly config: string
  readonly tags: readonly string[]
  readonly layers: readonly string[]
}

function texts(value: unknown, what: string): string[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value) || value.length > 1000)
    throw bad(`"${what}" in manifest.json is not a list`)
  return value.map((item) => {
    if (typeof item !== 'string')
      throw bad(`"${what}" in manifest.json holds something else than text`)
    return item
  })
}

function savedImages(document: unknown): SavedImage[] {
  if (!Array.isArray(document) || document.length > 1000) throw bad('manifest.json is not a list')
  return document.map((item: unknown) => {
    const fields = (typeof item === 'object' ? item : null) as Record<string, unknown> | null
    if (typeof fields?.Config !== 'string')
      throw bad('an image in manifest.json has no configuration')
    return {
      config: fields.Config,
      tags: texts(fields.RepoTags, 'RepoTags'),
      layers: texts(fields.Layers, 'Layers'),
    }
  })
}

function chooseSaved(
  images: readonly SavedImage[],
  which: { name?: string; index?: number },
): SavedImage {
  const tags = images.flatMap((image) => image.tags)
  const canonical = which.name === undefined ? undefined : formatReference(parseName(which.name))
  const candidates =
    canonical === undefined
      ? images.filter((_, index) => index === (which.index ?? index))
      : images.filter((image) => image.tags.some((tag) => canonicalName(tag).includes(canonical)))
  const [first, ...others] = candidates
  const hint = tags.length === 0 ? {} : { hint: `Names in it: ${tags.slice(0, 20).join(', ')}` }
  if (first === undefined) {
    const shown = which.name ?? `@${which.index ?? 0}`
    throw new TsstackError('NOT_FOUND', `Cannot find image "${shown}": not in the archive`, hint)
  }
  if (others.length > 0) throw bad('it holds several images', hint.hint)
  return first
}

/** How many images `docker save` has written. @throws {INVALID_ARGUMENT} */
export async function countDockerImages(files: ArchiveFiles): Promise<number> {
  return savedImages(parseJson(await readDocument(files, 'manifest.json'), 'manifest.json')).length
}

/** Reads what `docker save` writes. @throws {INVALID_ARGUMENT} {NOT_FOUND} no image of that name */
export async function readDockerArchive(
  files: ArchiveFiles,
  which: { readonly name?: string; readonly index?: number },
): Promise<ArchivedImage> {
  const document = parseJson(await readDocument(files, 'manifest.json'), 'manifest.json')
  const saved = chooseSaved(savedImages(document), which)
  const configBytes = await readDocument(files, saved.config)
  const config = parseImageConfig(configBytes)
  if (config.layers.length !== saved.layers.length) {
    throw bad(
      `manifest.json has ${saved.layers.length} layers, the configuration ${config.layers.length}`,
    )
  }
  const layers = saved.layers.map((name, index): PackedLayer => ({
    open: () => files.openFile(name),
    diffId: config.layers[index] ?? '',
  }))
  return { config, configBytes, layers, names: saved.tags.flatMap(canonicalName) }
}
