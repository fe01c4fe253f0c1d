/** The images of services that come from registries: which are to be pulled now, and pulling them. */
import type { ProgressEvent, StackSource } from '../api/types.ts'
import type { Digest } from '../engine/images/image.ts'
import { inParallel } from '../engine/images/in-parallel.ts'
import { parsePlatform, type Platform } from '../engine/images/platform.ts'
import { formatReference, familiarReference, parseReference } from '../engine/images/reference.ts'
import { checkSupport } from '../planner/compose-findings.ts'
import { splitRegistry } from '../registry/image-name.ts'
import type { Credentials, CredentialsByRegistry } from '../registry/credentials.ts'
import { TsstackError, toTsstackError } from '../errors.ts'
import { imageNameOf } from '../planner/image-name.ts'
import type { Service } from '../spec/stack.ts'
import type { Context } from './context.ts'
import { isPullDue, parsePullPolicy, pullPolicyOf, type PullPolicy } from './pull-policy.ts'
import { createNumbering, transferProgress, type OperationEvent } from './transfer-progress.ts'

/** More would only wait for each other, and for the registry's limits. */
const IMAGES_AT_ONCE = 8

export interface PullOptions {
  readonly services: readonly string[]
  /** Instead of the services' own. */
  readonly policy?: string | undefined
  /** Where neither says anything. */
  readonly otherwise: 'always' | 'missing'
  /** To pull is all that is asked for: what is left out is told, and a `latest` that is not missing is pulled anew. */
  readonly isAsked?: boolean
  readonly ignoreFailures?: boolean
  readonly credentials?: CredentialsByRegistry | undefined
  readonly signal?: AbortSignal | undefined
}

type Tell = (event: ProgressEvent) => void

interface Wanted {
  /** Canonical. */
  readonly reference: string
  readonly registry: string
  /** Where it is not the machine's own. */
  readonly platform?: Platform | undefined
}

/** Makes a reference available that is no service's: the base of a build. */
export async function pullReference(
  context: Context,
  reference: string,
  options: {
    readonly policy: 'always' | 'missing'
    readonly credentials: CredentialsByRegistry | undefined
    readonly signal: AbortSignal
    readonly number: () => number
  },
  tell: Tell,
): Promise<void> {
  const wanted = isLocalId(context, reference) ? undefined : registryImage(reference)
  if (wanted === undefined || (options.policy === 'missing' && isImageHere(context, reference)))
    return
  const { signal, number } = options
  const credentials = options.credentials?.[wanted.registry]
  await pullOne(context, { ...wanted, credentials, signal, number }, tell)
}

/** The registry image that a reference names; undefined if it names something on disk. */
function registryImage(reference: string): Wanted | undefined {
  const parsed = parseReference(reference)
  if (parsed.transport !== 'docker') return undefined
  return { reference: formatReference(parsed), registry: splitRegistry(parsed.name).registry }
}

/** By name, id or a prefix of it. An image for another platform is not the one. */
export function isImageHere(context: Context, reference: string, platform?: Platform): boolean {
  try {
    const { architecture } = context.images.inspect(reference)
    return platform === undefined || platform.architecture === architecture
  } catch {
    return false
  }
}

/** An id of an image that is here is no name to pull. */
function isLocalId(context: Context, reference: string): boolean {
  return /^(?:sha256:)?[0-9a-f]{4,64}$/.test(reference) && isImageHere(context, reference)
}

/** Everything that a service needs an image for: itself, what it mounts, what its hooks run in. */
function referencesOf({ stack }: StackSource, name: string): string[] {
  const service = stack.services[name]
  const mounted = (service?.volumes ?? []).flatMap(({ type, source }) =>
    type === 'image' && source !== undefined && !Object.hasOwn(stack.services, source)
      ? [source]
      : [],
  )
  const hooks = (service?.pre_start ?? []).flatMap((hook) => hook.image ?? [])
  return [...(service?.image === undefined ? [] : [service.image]), ...mounted, ...hooks]
}

function platformOf({ platform }: Service): Platform | undefined {
  return platform === undefined ? undefined : parsePlatform(platform)
}

/** What a build makes is not looked for in a registry, where the service says so. */
function isBuiltFirst({ build, pull_policy: policy }: Service): boolean {
  return build !== undefined && policy === 'build'
}

/** What is not pulled, and why. */
interface Skipped {
  readonly resource: 'image' | 'service'
  readonly name: string
  readonly detail?: string
}

interface Choice {
  /** Each once. */
  readonly due: readonly Wanted[]
  readonly skipped: readonly Skipped[]
}

function choose(context: Context, source: StackSource, options: PullOptions): Choice {
  const { services, policy: word, otherwise } = options
  const due = new Map<string, Wanted>()
  const skipped: Skipped[] = []
  for (const name of services) {
    const service = source.stack.services[name]
    if (service === undefined) continue
    if (service.image === undefined)
      skipped.push({ resource: 'service', name, detail: 'No image to be pulled' })
    else if (isBuiltFirst(service)) skipped.push({ resource: 'service', name })
    if (isBuiltFirst(service)) continue
    const policy: PullPolicy =
      word === undefined ? (pullPolicyOf(service) ?? { kind: otherwise }) : parsePullPolicy(word)
    for (const reference of referencesOf(source, name)) {
      if (isLocalId(context, reference)) continue
      const wanted = registryImage(reference)
      if (wanted === undefined) continue
      const checkedAtMs = context.images.remote.lastPull(reference)?.checkedAtMs
      const platform = reference === service.image ? platformOf(service) : undefined
      const isHere = isImageHere(context, reference, platform)
      const state = { isHere, checkedAtMs, nowMs: Date.now() }
      const isRenewed = options.isAsked === true && policy.kind === 'missing' && isLatest(wanted)
      if (isRenewed || isPullDue(policy, state)) due.set(wanted.reference, { ...wanted, platform })
      else skipped.push({ resource: 'image', name: reference, ...(isHere ? PRESENT : {}) })
    }
  }
  return { due: [...due.values()], skipped }
}

const PRESENT = { detail: 'Image is already present locally' }

function isLatest({ reference }: Wanted): boolean {
  return reference.endsWith(':latest')
}

export interface ImagePull extends Wanted {
  readonly credentials: Credentials | undefined
  readonly signal: AbortSignal | undefined
  readonly number: () => number
}

/** Pulls one image and tells of it. */
export async function pullOne(
  context: Context,
  { reference, platform, credentials, signal, number }: ImagePull,
  tell: (event: OperationEvent) => void,
): Promise<void> {
  const name = familiarReference(reference)
  const words = ['Pulling', 'Pulled'] as const
  const progress = transferProgress(tell, { name, number, words })
  try {
    const { onLayer, onNotice } = progress
    const options = { platform, credentials, signal, onLayer, onNotice }
    const { isNew } = await context.images.remote.pull(reference, options)
    progress.done(isNew ? undefined : 'up to date')
  } catch (error) {
    progress.failed(error)
    throw error
  }
}

/** Services that build an image where it can't be pulled (Compose: `image` and `build`). */
function buildersOf(
  { stack }: StackSource,
  services: readonly string[],
  canonical: string,
): string[] {
  return services.filter((name) => {
    const { image, build } = stack.services[name] ?? {}
    return (
      build !== undefined && image !== undefined && registryImage(image)?.reference === canonical
    )
  })
}

function notPulled(error: unknown): ProgressEvent {
  return { type: 'warning', message: `${toTsstackError(error).message}; it is built` }
}

function toBeBuilt(services: readonly string[]): ProgressEvent {
  const message = `Some service image(s) must be built from source by running:\n    tsstack build ${services.join(' ')}`
  return { type: 'warning', message }
}

/**
 * Pulls what is due, several at once.
 * @returns how many
 * @throws the first failure, when all have ended; unless failures are ignored
 */
export async function pullServices(
  context: Context,
  source: StackSource,
  options: PullOptions,
  tell: Tell,
): Promise<number> {
  const { credentials = {}, signal, ignoreFailures } = options
  const { due, skipped } = choose(context, source, options)
  const number = createNumbering()
  if (options.isAsked === true)
    for (const one of skipped)
      tell({ type: 'operation', id: number(), ...one, action: 'Skipped', status: 'done' })
  const failures: unknown[] = []
  const built = new Set<string>()
  const pull = async ({ reference, registry, platform }: Wanted): Promise<void> => {
    const one = {
      reference,
      registry,
      platform,
      credentials: credentials[registry],
      signal,
      number,
    }
    await pullOne(context, one, tell).catch((error: unknown) => {
      const builders = buildersOf(source, options.services, reference)
      if (builders.length === 0) failures.push(error)
      else if (options.isAsked !== true) tell(notPulled(error))
      for (const name of builders) built.add(name)
    })
  }
  await inParallel(due, IMAGES_AT_ONCE, pull)
  if (options.isAsked === true && built.size > 0) tell(toBeBuilt([...built]))
  const [first] = failures
  if (first === undefined) return due.length
  if (ignoreFailures !== true || toTsstackError(first).code === 'CANCELLED')
    throw toTsstackError(first)
  for (const failure of failures)
    tell({ type: 'warning', message: toTsstackError(failure).message })
  return due.length
}

/**
 * The ids that the images of services would have if they were pulled now, of those that would be: for a plan, which
 * fetches no layers.
 */
export async function lookUpServices(
  context: Context,
  source: StackSource,
  options: PullOptions,
): Promise<{
  readonly ids: Readonly<Record<string, Digest>>
  readonly warnings: readonly string[]
}> {
  const { credentials = {} } = options
  const { due } = choose(context, source, options)
  const found = new Map<string, Digest>()
  const lookUp = async ({ reference, registry, platform }: Wanted): Promise<void> => {
    const login = { platform, credentials: credentials[registry] }
    found.set(reference, await context.images.remote.lookUp(reference, login))
  }
  await Promise.all(due.map(lookUp))
  const ids = options.services.flatMap((name): [string, Digest][] => {
    const image = source.stack.services[name]?.image
    const id = image === undefined ? undefined : found.get(registryImage(image)?.reference ?? '')
    return id === undefined ? [] : [[name, id]]
  })
  const looked = new Set(ids.map(([name]) => name))
  const platform = `linux/${process.arch === 'arm64' ? 'arm64' : 'amd64'}`
  return {
    ids: Object.fromEntries(ids),
    warnings: checkSupport(source.stack, looked, { platform }),
  }
}

/** @throws {INVALID_ARGUMENT} a reference to something on disk */
export function wantedImage(reference: string): Wanted {
  const wanted = registryImage(reference)
  if (wanted !== undefined) return wanted
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot use "${reference}" with a registry: it is not the name of an image in one`,
  )
}

/** The images of services that have a name in a registry, each once. */
export function serviceImages({ stack }: StackSource, services: readonly string[]): Wanted[] {
  const images = services.flatMap((name) => {
    const image = imageNameOf(stack, name)
    return image === undefined ? [] : (registryImage(image) ?? [])
  })
  return [...new Map(images.map((image) => [image.reference, image])).values()]
}
