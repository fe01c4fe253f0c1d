/**
 * A stack that was published in a registry (stack-artifact.ts). In the cache:
 *
 *   oci/<digest of the manifest>/<name>/    compose.yaml, what it extends, environment files
 */
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { TsstackError } from '../errors.ts'
import { findCredentials } from '../registry/docker-config.ts'
import { parseName, splitRegistry } from '../registry/image-name.ts'
import { openRegistry } from '../registry/open-registry.ts'
import { readRegistrySettings } from '../registry/registry-settings.ts'
import type { Registry } from '../registry/registry.ts'
import { withRetries } from '../registry/transient-error.ts'
import { cacheDirectory, cached } from './cache-directory.ts'
import type { Environment } from './run-git.ts'
import {
  ANNOTATION,
  ENVIRONMENT_FILE_TYPE,
  PROJECT_TYPE,
  STACK_FILE_TYPE,
} from './stack-artifact.ts'

const DIGEST = /^sha256:[0-9a-f]{64}$/
const MAX_LAYERS = 100
const MAX_BYTES = 16 << 20

interface Layer {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly annotations: Readonly<Record<string, string>>
}

/**
 * The directory with the files of an artifact `oci://registry/repository[:tag][@digest]`.
 * @throws what the registry answers; {INVALID_ARGUMENT} when it is no stack, or its files are not what it says
 */
export async function fetchArtifact(reference: string, env: Environment): Promise<string> {
  const { name, tag, digest } = parseName(reference.slice('oci://'.length))
  const { registry: host, repository } = splitRegistry(name)
  const settings = readRegistrySettings(env)
  const credentials = await findCredentials(env, [host])
  const registry = openRegistry(host, { settings, credentials: credentials[host] })
  try {
    const manifest = await registry.manifest(repository, digest ?? tag ?? 'latest')
    const layers = layersOf(manifest.bytes)
    const key = manifest.digest.replace(':', '-')
    const place = join(cacheDirectory(env), 'oci', key)
    const local = basename(repository)
    await cached(place, async (draft) => {
      const directory = join(draft, local)
      mkdirSync(directory)
      for (const file of await filesOf(layers, { registry, repository })) writeFile(directory, file)
    })
    return join(place, local)
  } finally {
    registry.close()
  }
}

function invalid(state: string): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', state, {
    hint: 'name an artifact that "docker compose publish" has made',
  })
}

function parseManifest(bytes: Buffer): { artifactType?: unknown; layers?: unknown } {
  try {
    return (JSON.parse(bytes.toString()) ?? {}) as ReturnType<typeof parseManifest>
  } catch {
    throw invalid('its manifest is not JSON')
  }
}

function layersOf(bytes: Buffer): Layer[] {
  const manifest = parseManifest(bytes)
  const { artifactType, layers } = manifest
  if (artifactType !== PROJECT_TYPE) {
    const found = typeof artifactType === 'string' ? `"${artifactType.slice(0, 100)}"` : 'an image'
    throw invalid(`it is ${found} and no stack`)
  }
  if (!Array.isArray(layers) || layers.length === 0 || layers.length > MAX_LAYERS)
    throw invalid('its manifest has no layers, or too many')
  const read = layers.map(layerOf)
  if (read.reduce((total, { size }) => total + size, 0) > MAX_BYTES)
    throw invalid(`its files are larger than ${MAX_BYTES} bytes`)
  return read
}

function layerOf(value: unknown): Layer {
  const { mediaType, digest, size, annotations } = (value ?? {}) as Record<string, unknown>
  const isValid =
    typeof mediaType === 'string' &&
    typeof digest === 'string' &&
    DIGEST.test(digest) &&
    typeof size === 'number' &&
    size >= 0
  if (!isValid) throw invalid('its manifest has a layer that is no file')
  const notes = Object.entries((annotations ?? {}) as Record<string, unknown>)
  const texts = notes.filter((note): note is [string, string] => typeof note[1] === 'string')
  return { mediaType, digest, size, annotations: Object.fromEntries(texts) }
}

interface ArtifactFile {
  readonly name: string
  readonly bytes: Buffer
}

interface Origin {
  readonly registry: Registry
  readonly repository: string
}

/** Stack files are the documents of one, in their order; those that are extended keep their names. */
async function filesOf(layers: readonly Layer[], origin: Origin): Promise<ArtifactFile[]> {
  const documents: Buffer[] = []
  const files: ArtifactFile[] = []
  for (const layer of layers) {
    const { mediaType, annotations } = layer
    if (mediaType !== STACK_FILE_TYPE && mediaType !== ENVIRONMENT_FILE_TYPE) continue
    const bytes = await readLayer(layer, origin)
    const isExtended = annotations[ANNOTATION.isExtended] === 'true'
    if (mediaType === ENVIRONMENT_FILE_TYPE)
      files.push({ name: annotations[ANNOTATION.environmentFile] ?? '', bytes })
    else if (isExtended) files.push({ name: annotations[ANNOTATION.file] ?? '', bytes })
    else documents.push(bytes)
  }
  if (documents.length === 0) throw invalid('it has no stack file')
  const joined = documents.flatMap((document, index) =>
    index === 0 ? [document] : [Buffer.from('\n---\n'), document],
  )
  return [...files, { name: 'compose.yaml', bytes: Buffer.concat(joined) }]
}

async function readLayer({ digest, size }: Layer, origin: Origin): Promise<Buffer> {
  const { registry, repository } = origin
  const bytes = await withRetries(async () => {
    const { chunks } = await registry.blob(repository, digest)
    const read: Buffer[] = []
    let total = 0
    for await (const chunk of chunks) {
      total += chunk.length
      if (total > size) throw invalid(`its layer ${digest} is larger than it says`)
      read.push(chunk)
    }
    return Buffer.concat(read)
  })
  const found = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  if (found !== digest) throw invalid(`its layer ${digest} is damaged: it is ${found}`)
  return bytes
}

/** Names come from the artifact: they must stay in its directory, and be no programs. */
function writeFile(directory: string, { name, bytes }: ArtifactFile): void {
  const parts = name.split('/')
  const isRelative = parts.every((part) => part !== '' && part !== '.' && part !== '..')
  if (!isRelative || name.includes('\0') || /\.[cm]?[jt]s$/.test(name))
    throw invalid(`its file "${name.slice(0, 100)}" is not in its directory`)
  const path = join(directory, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
}
