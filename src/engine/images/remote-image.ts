/** What a registry has under a name: the manifest for this machine, out of indexes if it must be. */
import { TsstackError } from '../../errors.ts'
import type { Registry } from '../../registry/registry.ts'
import { withRetries, type RetryOptions } from '../../registry/transient-error.ts'
import { digestOf, type Digest } from './image.ts'
import { isFor, parseManifest, type IndexEntry, type Manifest } from './manifest.ts'
import { formatPlatform, HOST_PLATFORM, type Platform } from './platform.ts'

export interface RemoteImage {
  readonly manifest: Extract<Manifest, { kind: 'image' }>
  readonly manifestBytes: Buffer
  readonly manifestDigest: Digest
  /** Of what the name stands for: the manifest, or the index. */
  readonly remoteDigest: Digest
}

const MAX_INDEX_DEPTH = 4
const MAX_CONFIG_BYTES = 8 << 20
const MAX_LAYER_BYTES = 64 * 2 ** 30
const MAX_LAYERS = 500

function bad(state: string): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', `Cannot use image: ${state}`)
}

function platformOf({ os = 'linux', architecture = '?', variant }: IndexEntry): string {
  return formatPlatform({ os, architecture, ...(variant === undefined ? {} : { variant }) })
}

/** `v3` -> 3; the plainest is the first of amd64, the eighth of arm64. */
function levelOf(variant: string | undefined): number {
  return variant === undefined ? 0 : Number(variant.replace(/^v/, '')) || 0
}

/**
 * One that says it is for the platform before one that says nothing; the plainest variant, or the highest up to the one
 * that is wanted.
 */
function choosePlatform(entries: readonly IndexEntry[], platform: Platform): IndexEntry {
  const most = levelOf(platform.variant)
  const rank = ({ architecture, variant }: IndexEntry): number =>
    (architecture === undefined ? 1000 : 0) + levelOf(variant) * (most === 0 ? 1 : -1)
  const [first] = entries
    .filter((entry) => isFor(entry, platform))
    .filter(({ variant }) => most === 0 || levelOf(variant) <= most)
    .toSorted((a, b) => rank(a) - rank(b))
  if (first !== undefined) return first
  const known = entries.map(platformOf).filter((text) => !text.includes('unknown'))
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot use image: it is not for ${formatPlatform(platform)}`,
    { hint: `It is for ${[...new Set(known)].slice(0, 20).join(', ')}` },
  )
}

/** Charts, signatures and other artifacts have manifests too. */
function checkImage(manifest: Extract<Manifest, { kind: 'image' }>): void {
  const { config, layers } = manifest
  if (!/^$|image.*config|container\.image/.test(config.mediaType))
    throw bad(`it is no image, but "${config.mediaType.slice(0, 100)}"`)
  if (config.size > MAX_CONFIG_BYTES) throw bad('its configuration is too large')
  if (layers.length > MAX_LAYERS) throw bad(`it has more than ${MAX_LAYERS} layers`)
  const other = layers.find(({ mediaType }) => !/^$|tar|octet-stream/.test(mediaType))
  if (other !== undefined)
    throw bad(`a layer is no archive, but "${other.mediaType.slice(0, 100)}"`)
  if (layers.some(({ size }) => size > MAX_LAYER_BYTES)) throw bad('a layer is too large')
}

/**
 * @param reference - tag or digest
 * @throws {NOT_FOUND} {INVALID_ARGUMENT} {FAILED_PRECONDITION} not for this machine; and what the registry throws
 */
export async function findRemoteImage(
  registry: Registry,
  repository: string,
  reference: string,
  platform: Platform = HOST_PLATFORM,
): Promise<RemoteImage> {
  let remoteDigest: Digest | undefined
  let next = reference
  for (let depth = 0; depth <= MAX_INDEX_DEPTH; depth++) {
    const { bytes, digest } = await registry.manifest(repository, next)
    remoteDigest ??= digest
    const manifest = parseManifest(bytes, next)
    if (manifest.kind === 'image') {
      checkImage(manifest)
      return { manifest, manifestBytes: bytes, manifestDigest: digest, remoteDigest }
    }
    next = choosePlatform(manifest.entries, platform).digest
  }
  throw bad('its indexes are nested too deeply')
}

/** The configuration of an image: small, so it is read at once. @throws {INVALID_ARGUMENT} */
export async function readRemoteConfig(
  registry: Registry,
  repository: string,
  { manifest }: RemoteImage,
  retries: RetryOptions,
): Promise<Buffer> {
  const { digest, size } = manifest.config
  const bytes = await withRetries(async () => {
    const parts: Buffer[] = []
    let total = 0
    for await (const chunk of (await registry.blob(repository, digest)).chunks) {
      parts.push(chunk)
      total += chunk.length
      if (total > size) break
    }
    return Buffer.concat(parts)
  }, retries)
  if (bytes.length !== size)
    throw bad(`its configuration does not have the ${size} bytes of the manifest`)
  const actual = digestOf(bytes)
  if (actual === digest) return bytes
  throw bad(`its configuration "${digest}" has digest "${actual}"`)
}
