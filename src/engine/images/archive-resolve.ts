/** From `oci:`, `oci-archive:`, `docker-archive:` and `dir:` references to images in the store. */
import fs from 'node:fs'
import path from 'node:path'
import { TsstackError } from '../../errors.ts'
import { openDirectoryFiles, openTarFiles, type ArchiveFiles } from './archive-files.ts'
import {
  readDirectoryLayout,
  readDockerArchive,
  readOciLayout,
  type ArchivedImage,
} from './archive-image.ts'
import { lstatIfThere, versionOf } from './host-file.ts'
import { HOST_ARCHITECTURE, digestOf, type Digest, type Image } from './image.ts'
import { inParallel } from './in-parallel.ts'
import { importLayer } from './layer-import.ts'
import { formatManifest, MEDIA_TYPES } from './manifest.ts'
import { formatReference, type ImageReference } from './reference.ts'
import { isRootFileSystem, resolveRootFileSystem } from './root-file-system.ts'
import type { StoreParts } from './store-parts.ts'
import type { UnpackedLayer } from './unpack-packed.ts'

export type ArchiveReference = Exclude<ImageReference, { transport: 'docker' | 'host' }>

export interface ResolvedArchive {
  readonly image: Image
  /** Names that the archive gives the image, canonical. */
  readonly names: readonly string[]
}

const LAYERS_AT_ONCE = 4

/** Removes what a failed import has brought, and nothing else. */
async function undo(
  parts: StoreParts,
  layers: ReadonlySet<Digest>,
  blobs: ReadonlySet<Digest>,
): Promise<void> {
  const { leases, holds } = parts
  for (const diffId of parts.layers.list())
    if (!layers.has(diffId) && !leases.holdsLayer(diffId) && !holds.has(diffId))
      await parts.layers.remove(diffId)
  for (const digest of parts.content.list())
    if (!blobs.has(digest) && !leases.holdsBlob(digest) && !holds.has(digest))
      parts.content.remove(digest)
}

async function importLayers(parts: StoreParts, archived: ArchivedImage): Promise<UnpackedLayer[]> {
  const before = { layers: new Set(parts.layers.list()), blobs: new Set(parts.content.list()) }
  try {
    return await inParallel(archived.layers, LAYERS_AT_ONCE, (layer) => importLayer(parts, layer))
  } catch (error) {
    await undo(parts, before.layers, before.blobs)
    throw error
  }
}

/** The archive's own manifest, or one written for its layers as they are packed in it. */
function manifestOf(
  { content }: StoreParts,
  archived: ArchivedImage,
  layers: readonly UnpackedLayer[],
): Buffer | string {
  if (archived.manifestBytes !== undefined) return archived.manifestBytes
  const digest = digestOf(archived.configBytes)
  return formatManifest(
    { mediaType: MEDIA_TYPES.config, digest, size: archived.configBytes.length },
    layers.map(({ packed }) => {
      const compression = content.compression(packed.digest)
      const suffix = compression === 'none' ? '' : `+${compression}`
      return { mediaType: `${MEDIA_TYPES.layer}${suffix}`, ...packed }
    }),
  )
}

/**
 * Brings what is in an archive into the store.
 * @throws {INVALID_ARGUMENT} damaged or hostile; {FAILED_PRECONDITION} for another machine
 */
export async function addArchived(parts: StoreParts, archived: ArchivedImage): Promise<Image> {
  const { config } = archived
  if (config.os !== 'linux' || config.architecture !== HOST_ARCHITECTURE) {
    const state = `it is for ${config.os}/${config.architecture}`
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot use image: ${state}, this machine is linux/${HOST_ARCHITECTURE}`,
    )
  }
  const id = digestOf(archived.configBytes)
  const layers = await importLayers(parts, archived)
  parts.content.put(archived.configBytes)
  const image: Image = {
    ...config,
    id,
    digest: parts.content.put(manifestOf(parts, archived, layers)),
    sizeBytes: layers.reduce((total, { fileBytes }) => total + fileBytes, 0),
    ...(archived.manifestBytes === undefined ? { madeHere: true } : {}),
  }
  parts.records.addImage(image)
  return image
}

async function openFiles(parts: StoreParts, reference: ArchiveReference): Promise<ArchiveFiles> {
  const isDirectory = reference.transport === 'oci' || reference.transport === 'dir'
  return isDirectory
    ? openDirectoryFiles(reference.path)
    : openTarFiles(reference.path, parts.tmpDir)
}

function readArchive(files: ArchiveFiles, reference: ArchiveReference): Promise<ArchivedImage> {
  switch (reference.transport) {
    case 'oci':
    case 'oci-archive':
      return readOciLayout(files, reference.name)
    case 'dir':
      return readDirectoryLayout(files)
    case 'docker-archive':
      return readDockerArchive(files, reference)
  }
}

/** The file that changes with the archive: itself, or in a directory the document that all else hangs on. */
function inputOf(reference: ArchiveReference): string {
  if (reference.transport === 'oci') return path.join(reference.path, 'index.json')
  return reference.transport === 'dir'
    ? path.join(reference.path, 'manifest.json')
    : fs.realpathSync(reference.path)
}

/**
 * Imports an image, unless the store has it.
 * @throws {NOT_FOUND} no such file, or no image of that name in it
 * @throws {INVALID_ARGUMENT} malformed or hostile
 * @throws {FAILED_PRECONDITION} for another machine; no space
 */
export async function resolveArchive(
  parts: StoreParts,
  reference: ArchiveReference,
): Promise<ResolvedArchive> {
  const canonical = formatReference(reference)
  if (reference.transport === 'dir' && isRootFileSystem(reference.path)) {
    return { image: await resolveRootFileSystem(parts, reference.path, canonical), names: [] }
  }
  const files = await openFiles(parts, reference)
  try {
    const input = inputOf(reference)
    const version = versionOf(lstatIfThere(input))
    const archived = await readArchive(files, reference)
    const image = await addArchived(parts, archived)
    await parts.records.setReference(canonical, image.id)
    parts.records.setSource({ reference: canonical, imageId: image.id, inputs: [[input, version]] })
    return { image, names: archived.names }
  } finally {
    await files.close()
  }
}
