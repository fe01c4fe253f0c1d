/**
 * An image from a registry into the store:
 *
 *   manifest ──▶ configuration ──▶ lease ──▶ layers: each downloaded, then unpacked; several at once
 *                                       ──▶ image recorded, name set ──▶ lease released
 *
 * Until the image is recorded nobody sees any of it. What fails by itself stays under its lease, for the next pull to go
 * on with; what is wrong is removed.
 */
import { TsstackError, toTsstackError } from '../../errors.ts'
import { splitRegistry, type NamedReference } from '../../registry/image-name.ts'
import { openRegistry } from '../../registry/open-registry.ts'
import type { RegistryOptions } from '../../registry/registry-caller.ts'
import type { Registry } from '../../registry/registry.ts'
import type { TransientError } from '../../registry/transient-error.ts'
import { downloadBlob } from './blob-download.ts'
import { digestOf, parseImageConfig, type Digest, type Image, type ParsedConfig } from './image.ts'
import { inParallel } from './in-parallel.ts'
import { importLayer } from './layer-import.ts'
import type { Descriptor } from './manifest.ts'
import { compressAgain } from './packed-layer.ts'
import { formatPlatform, HOST_PLATFORM, type Platform } from './platform.ts'
import { familiarReference, formatReference } from './reference.ts'
import { findRemoteImage, readRemoteConfig, type RemoteImage } from './remote-image.ts'
import type { StoreParts } from './store-parts.ts'
import type { UnpackedLayer } from './unpack-packed.ts'

/** What becomes of a layer. */
export interface LayerEvent {
  readonly digest: Digest
  readonly state:
    | 'waiting'
    | 'downloading'
    | 'retrying'
    | 'extracting'
    | 'done'
    | 'present'
    | 'failed'
    | 'compressing'
    | 'uploading'
    | 'pushed'
    | 'mounted'
  /** Why it is tried again. */
  readonly detail?: string
  /** Bytes; of downloads and uploads. */
  readonly current?: number
  readonly total?: number
}

export interface TransferOptions extends Omit<RegistryOptions, 'mirror' | 'onRetry'> {
  /** Of several. Default: this machine's. */
  readonly platform?: Platform | undefined
  readonly onLayer?: (event: LayerEvent) => void
  /** Told what is waited for, and what was tried in vain. */
  readonly onNotice?: (text: string) => void
}

export interface PulledImage {
  readonly image: Image
  readonly remoteDigest: Digest
  /** The name stands for another image than before. */
  readonly isNew: boolean
}

/** What pulls share: layers that are under way, so that no two bring the same one. */
export interface PullContext {
  readonly parts: StoreParts
  readonly underWay: Map<Digest, Promise<unknown>>
  /** One change of the store's names at a time. */
  readonly exclusive: <T>(work: () => Promise<T>) => Promise<T>
  readonly collectGarbage: () => Promise<void>
}

const LAYERS_AT_ONCE = 4

export function pullFailure(
  reference: NamedReference,
  thrown: unknown,
  verb = 'pull',
): TsstackError {
  const error = toTsstackError(thrown)
  if (error.code === 'CANCELLED') return error
  const name = familiarReference(formatReference(reference))
  // Registries say no more of what does not exist than of what is private. The words are Docker's, so that they are found.
  const state =
    verb === 'pull' && error.code === 'PERMISSION_DENIED'
      ? `pull access denied for ${name}: ${error.message}`
      : error.message
  return new TsstackError(error.code, `Cannot ${verb} image "${name}": ${state}`, {
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  })
}

/** Why something is tried again, and when: what the error has to say without what is tried. */
function retryText({ message }: TransientError, pauseMs: number): string {
  return `${message}; again in ${Math.ceil(pauseMs / 1000)} s`
}

/** Mirrors first, for docker.io; the registry itself has the last word. */
export async function withRegistry<T>(
  registryName: string,
  options: TransferOptions,
  work: (registry: Registry) => Promise<T>,
): Promise<T> {
  const mirrors = registryName === 'docker.io' ? options.settings.mirrors : []
  for (const mirror of [...mirrors, undefined]) {
    const registry = openRegistry(registryName, {
      ...options,
      onRetry: (error, pauseMs) => options.onNotice?.(retryText(error, pauseMs)),
      ...(mirror === undefined ? {} : { mirror }),
    })
    try {
      return await work(registry)
    } catch (error) {
      const { code, message } = toTsstackError(error)
      if (mirror === undefined || code === 'CANCELLED') throw error
      if (code !== 'NOT_FOUND') options.onNotice?.(`mirror passed over: ${message}`)
    } finally {
      registry.close()
    }
  }
  throw new TsstackError('INTERNAL', `Cannot reach registry "${registryName}"`)
}

interface LayerTask {
  readonly registry: Registry
  readonly repository: string
  readonly descriptor: Descriptor
  readonly diffId: Digest
  readonly options: TransferOptions
}

async function download({ parts }: PullContext, task: LayerTask): Promise<void> {
  const { registry, repository, descriptor, options } = task
  const { digest, size } = descriptor
  const file = parts.leases.partialFile(digest)
  await downloadBlob({
    file,
    expected: descriptor,
    signal: options.signal,
    openBlob: (from) => registry.blob(repository, digest, from),
    onProgress: (current) =>
      options.onLayer?.({ digest, state: 'downloading', current, total: size }),
    onRetry: (error, pauseMs) =>
      options.onLayer?.({ digest, state: 'retrying', detail: retryText(error, pauseMs) }),
  })
  parts.content.adopt(file, digest)
}

async function bringLayer(context: PullContext, task: LayerTask): Promise<UnpackedLayer> {
  const { parts } = context
  const { descriptor, diffId, options } = task
  const { digest } = descriptor
  const isHere = parts.layers.find(diffId) !== undefined && parts.content.has(digest)
  const onStart = (): void => options.onLayer?.({ digest, state: 'compressing' })
  const again = { digest, diffId, signal: options.signal, onStart }
  if (!isHere && !parts.content.has(digest) && !(await compressAgain(parts, again)))
    await download(context, task)
  if (!isHere) options.onLayer?.({ digest, state: 'extracting' })
  const imported = await importLayer(parts, {
    open: () => parts.content.openFile(digest),
    diffId,
    expected: descriptor,
  })
  options.onLayer?.({ digest, state: isHere ? 'present' : 'done' })
  return imported
}

/** Waits for work of others, however it ends. @throws {CANCELLED} at once, when we are not to wait any longer */
async function unlessAborted(
  work: Promise<unknown>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = (): void => {
    reject(new TsstackError('CANCELLED', 'Cancelled'))
  }
  signal?.addEventListener('abort', abort)
  if (signal?.aborted === true) abort()
  try {
    await Promise.race([work.catch(() => undefined), aborted])
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

/** Waits for whoever brings the layer already; when that one fails, it is our turn. */
async function bringLayerOnce(context: PullContext, task: LayerTask): Promise<UnpackedLayer> {
  const { underWay } = context
  const { digest } = task.descriptor
  for (;;) {
    const other = underWay.get(digest)
    if (other === undefined) break
    await unlessAborted(other, task.options.signal)
  }
  const mine = bringLayer(context, task)
  underWay.set(digest, mine)
  try {
    return await mine
  } catch (error) {
    task.options.onLayer?.({ digest, state: 'failed' })
    throw error
  } finally {
    underWay.delete(digest)
  }
}

function checkConfig(
  bytes: Buffer,
  { manifest }: RemoteImage,
  platform: Platform = HOST_PLATFORM,
): ParsedConfig {
  const config = parseImageConfig(bytes)
  if (config.os !== platform.os || config.architecture !== platform.architecture) {
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot use image: it is for ${config.os}/${config.architecture}, and ${formatPlatform(platform)} is wanted`,
    )
  }
  if (config.layers.length === manifest.layers.length) return config
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot use image: its manifest has ${manifest.layers.length} layers, its configuration ${config.layers.length}`,
  )
}

interface Fetched {
  readonly remote: RemoteImage
  readonly configBytes: Buffer
  readonly config: ParsedConfig
}

async function record(
  { parts, exclusive }: PullContext,
  canonical: string,
  { remote, configBytes, config }: Fetched,
  layers: readonly UnpackedLayer[],
): Promise<PulledImage> {
  return exclusive(() => {
    const id = parts.content.put(configBytes)
    const digest = parts.content.put(remote.manifestBytes)
    const sizeBytes = layers.reduce((total, layer) => total + layer.fileBytes, 0)
    const image = { ...config, id, digest, sizeBytes }
    parts.records.addImage(image)
    return name(parts, canonical, image, remote)
  })
}

async function name(
  { records, pulled }: StoreParts,
  canonical: string,
  image: Image,
  { remoteDigest, manifestDigest }: RemoteImage,
): Promise<PulledImage> {
  const isNew = records.references.get(canonical) !== image.id
  await records.setReference(canonical, image.id)
  const found = { remoteDigest, manifestDigest, imageId: image.id }
  pulled.set({ reference: canonical, ...found, checkedAtMs: Date.now() })
  return { image, remoteDigest, isNew }
}

interface Place {
  readonly registry: Registry
  readonly repository: string
  readonly reference: NamedReference
}

async function pullFrom(
  context: PullContext,
  { registry, repository, reference }: Place,
  options: TransferOptions,
): Promise<PulledImage> {
  const { parts, exclusive } = context
  const canonical = formatReference(reference)
  const wanted = reference.digest ?? reference.tag ?? 'latest'
  const remote = await findRemoteImage(registry, repository, wanted, options.platform)
  const { manifest, manifestDigest } = remote
  // Asked again when it is our turn: it may be removed until then. One for another platform is told below.
  const { architecture } = options.platform ?? HOST_PLATFORM
  if (parts.records.images.get(manifest.config.digest)?.architecture === architecture) {
    const known = await exclusive(async () => {
      const image = parts.records.images.get(manifest.config.digest)
      return image === undefined ? undefined : name(parts, canonical, image, remote)
    })
    if (known !== undefined) return known
  }
  const configBytes = await readRemoteConfig(registry, repository, remote, {
    signal: options.signal,
    onRetry: (error, pauseMs) => options.onNotice?.(retryText(error, pauseMs)),
  })
  const config = checkConfig(configBytes, remote, options.platform)
  const lease = parts.leases.take(manifestDigest, {
    blobs: [manifestDigest, digestOf(configBytes), ...manifest.layers.map(({ digest }) => digest)],
    layers: config.layers,
  })
  for (const { digest, size } of manifest.layers)
    options.onLayer?.({ digest, state: 'waiting', total: size })
  const stop = new AbortController()
  const signal = AbortSignal.any([stop.signal, ...(options.signal ? [options.signal] : [])])
  try {
    const tasks = manifest.layers.map((descriptor, index): LayerTask => {
      const diffId = config.layers[index] ?? ''
      return { registry, repository, descriptor, diffId, options: { ...options, signal } }
    })
    const layers = await inParallel(tasks, LAYERS_AT_ONCE, (task) =>
      bringLayerOnce(context, task).catch((error: unknown) => {
        stop.abort() // what has arrived of the others stays
        throw error
      }),
    )
    const pulled = await record(context, canonical, { remote, configBytes, config }, layers)
    lease.release(false)
    return pulled
  } catch (error) {
    const isWrong = toTsstackError(error).code === 'INVALID_ARGUMENT'
    lease.release(!isWrong)
    if (isWrong) await exclusive(context.collectGarbage)
    throw error
  }
}

/**
 * Pulls what a name stands for now; layers that are here are not fetched again.
 * @throws {NOT_FOUND} {PERMISSION_DENIED} {UNAVAILABLE} {CANCELLED} what is here already stays for the next time
 * @throws {INVALID_ARGUMENT} wrong digests or sizes, damaged or hostile content: the store is as before
 * @throws {FAILED_PRECONDITION} not for this machine; a registry that sends us where others listen in
 */
export async function pullImage(
  context: PullContext,
  reference: NamedReference,
  options: TransferOptions,
): Promise<PulledImage> {
  const { registry: registryName, repository } = splitRegistry(reference.name)
  try {
    return await withRegistry(registryName, options, (registry) =>
      pullFrom(context, { registry, repository, reference }, options),
    )
  } catch (error) {
    throw pullFailure(reference, error)
  }
}
