/**
 * OCI image manifests and indexes, and Docker's of schema 2, which differ only in their media types
 * (https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md, image-index.md). Pure.
 */
import { TsstackError } from '../../errors.ts'
import { isDigest, type Digest } from './image.ts'
import { HOST_PLATFORM, type Platform } from './platform.ts'

export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  /** Bytes. */
  readonly size: number
}

export interface IndexEntry extends Descriptor {
  readonly architecture?: string
  readonly os?: string
  /** `v8`, `v3`: what of the architecture is needed. */
  readonly variant?: string
  readonly annotations: Readonly<Record<string, string>>
}

export type Manifest =
  | { readonly kind: 'image'; readonly config: Descriptor; readonly layers: readonly Descriptor[] }
  | { readonly kind: 'index'; readonly entries: readonly IndexEntry[] }

export const MEDIA_TYPES = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
} as const

const MAX_ENTRIES = 1000

type Json = Readonly<Record<string, unknown>>

function bad(state: string): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', `Cannot read image manifest: ${state}`)
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** JSON that is an object or a list. @throws {INVALID_ARGUMENT} */
export function parseJson(bytes: Buffer, name: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new TsstackError('INVALID_ARGUMENT', `Cannot read image: "${name}" is not JSON`, {
      cause,
    })
  }
}

function descriptor(value: unknown): Descriptor {
  if (!isObject(value)) throw bad('a descriptor is not an object')
  const { mediaType, digest, size } = value
  if (typeof digest !== 'string' || !isDigest(digest))
    throw bad('a digest is not sha256 and 64 hex digits')
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw bad('a size is not a count of bytes')
  return { mediaType: typeof mediaType === 'string' ? mediaType : '', digest, size }
}

function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length > MAX_ENTRIES)
    throw bad(`${what} is not a list of at most ${MAX_ENTRIES}`)
  return value
}

function indexEntry(value: unknown): IndexEntry {
  const { platform, annotations } = isObject(value) ? value : {}
  const { architecture, os, variant } = isObject(platform) ? platform : {}
  const pairs = Object.entries(isObject(annotations) ? annotations : {})
  return {
    ...descriptor(value),
    ...(typeof architecture === 'string' ? { architecture } : {}),
    ...(typeof os === 'string' ? { os } : {}),
    ...(typeof variant === 'string' ? { variant } : {}),
    annotations: Object.fromEntries(
      pairs.filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
    ),
  }
}

/** Reads a manifest or an index. @throws {INVALID_ARGUMENT} */
export function parseManifest(bytes: Buffer, name: string): Manifest {
  const document = parseJson(bytes, name)
  if (!isObject(document)) throw bad('it is not an object')
  if ('fsLayers' in document || document.schemaVersion === 1)
    throw new TsstackError(
      'INVALID_ARGUMENT',
      'Cannot use image: its manifest has the form of 2014 (schema 1), whose content nobody can check',
      { hint: 'Push it again with a newer program' },
    )
  if ('manifests' in document) {
    // One and the same digest would be two different things (CVE-2021-41190).
    if ('layers' in document || 'config' in document)
      throw bad('it is an index and an image at the same time')
    return { kind: 'index', entries: list(document.manifests, '"manifests"').map(indexEntry) }
  }
  const layers = list(document.layers, '"layers"').map(descriptor)
  return { kind: 'image', config: descriptor(document.config), layers }
}

/** Whether an index entry is for a platform; one that does not say is. Attestations say `unknown`, or what they are. */
export function isFor(
  { architecture, os, annotations }: IndexEntry,
  platform: Pick<Platform, 'os' | 'architecture'> = HOST_PLATFORM,
): boolean {
  if (annotations['vnd.docker.reference.type'] !== undefined) return false
  const isArchitecture = architecture === undefined || architecture === platform.architecture
  return isArchitecture && (os ?? 'linux') === platform.os
}

/** What an index or a registry names a manifest by. */
export function describeManifest(bytes: Buffer, digest: Digest): Descriptor {
  const { mediaType } = JSON.parse(bytes.toString('utf8')) as { readonly mediaType?: unknown }
  const type = typeof mediaType === 'string' ? mediaType : MEDIA_TYPES.manifest
  return { mediaType: type, digest, size: bytes.length }
}

/** Writes a manifest; the same input gives the same bytes. */
export function formatManifest(config: Descriptor, layers: readonly Descriptor[]): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.manifest, config, layers })
}
