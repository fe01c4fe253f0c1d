/** What a user asks of images and registries: pull and push, of a stack's services or by name. */
import type {
  PullRequest,
  PushCompression,
  PushRequest,
  TagsRequest,
  TransferRequest,
} from '../api/image-types.ts'
import type { ProgressEvent, StackSource } from '../api/types.ts'
import { parsePlatform } from '../engine/images/platform.ts'
import { familiarReference } from '../engine/images/reference.ts'
import { dependencyGraph, selectServices } from '../planner/dependency-graph.ts'
import { toTsstackError, type TsstackError } from '../errors.ts'
import type { Context } from './context.ts'
import {
  pullOne,
  pullServices,
  serviceImages,
  wantedImage,
  type ImagePull,
} from './pull-services.ts'
import { createNumbering, transferProgress, type OperationEvent } from './transfer-progress.ts'

export interface Follower {
  readonly tell: (event: ProgressEvent) => void
  readonly signal: AbortSignal
}

function scopeOf(
  { stack }: StackSource,
  {
    services,
    includeDeps,
  }: { readonly services?: readonly string[]; readonly includeDeps?: boolean },
): readonly string[] {
  const noDeps = includeDeps !== true
  return [...selectServices(dependencyGraph(stack), services, { noDeps })]
}

/** All at once; the first failure is thrown when all have ended. */
async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const failures: unknown[] = []
  await Promise.all(items.map((item) => work(item).catch((error: unknown) => failures.push(error))))
  const [first] = failures
  if (first !== undefined) throw toTsstackError(first)
}

/** Pulls the images of services as `docker compose pull` does: what has no policy is looked at anew. */
export async function pullStack(
  context: Context,
  request: PullRequest,
  { tell, signal }: Follower,
): Promise<void> {
  const { options, credentials } = request
  const { policy, ignoreFailures } = options
  const services = scopeOf(request, options)
  const ignore = ignoreFailures === undefined ? {} : { ignoreFailures }
  const asked = { otherwise: 'always', isAsked: true } as const
  const pull = { services, policy, credentials, signal, ...asked, ...ignore }
  const count = await pullServices(context, request, pull, tell)
  tell({ type: 'done', changed: count > 0, containers: [] })
}

/** @throws {INVALID_ARGUMENT} {FAILED_PRECONDITION} before anything is pulled: a name or the platform is none */
export async function pullImages(
  context: Context,
  { references, platform: text, credentials = {} }: TransferRequest,
  { tell, signal }: Follower,
): Promise<void> {
  const number = createNumbering()
  const platform = text === undefined ? undefined : parsePlatform(text)
  const pulls = references.map((reference): ImagePull => {
    const wanted = wantedImage(reference)
    return { ...wanted, platform, credentials: credentials[wanted.registry], signal, number }
  })
  await eachOf(pulls, (pull) => pullOne(context, pull, tell))
  tell({ type: 'done', changed: true, containers: [] })
}

interface ImagePush extends ImagePull {
  readonly compression: PushCompression | undefined
}

async function pushOne(
  context: Context,
  { reference, compression, credentials, signal, number }: ImagePush,
  tell: (event: OperationEvent) => void,
): Promise<void> {
  const name = familiarReference(reference)
  const progress = transferProgress(tell, { name, number, words: ['Pushing', 'Pushed'] })
  try {
    const { onLayer, onNotice } = progress
    const options = { compression, credentials, signal, onLayer, onNotice }
    const pushed = await context.images.remote.push(reference, options)
    progress.done(`digest: ${pushed.digest} size: ${pushed.size}`)
  } catch (error) {
    progress.failed(error)
    throw error
  }
}

/** @throws {NOT_FOUND} {PERMISSION_DENIED} {UNAVAILABLE} as the registry says */
export function listTags(
  { images }: Context,
  { repository, credentials = {} }: TagsRequest,
): Promise<readonly string[]> {
  const { registry } = wantedImage(repository)
  return images.remote.tags(repository, { credentials: credentials[registry] })
}

/** One after the other, so that the second may find layers of the first. */
export async function pushImages(
  context: Context,
  { references, compression, credentials = {} }: TransferRequest,
  { tell, signal }: Follower,
): Promise<void> {
  const number = createNumbering()
  for (const reference of references) {
    const wanted = wantedImage(reference)
    const own = credentials[wanted.registry]
    const one = { ...wanted, compression, credentials: own, signal, number }
    await pushOne(context, one, tell)
  }
  tell({ type: 'done', changed: true, containers: [] })
}

/** The images of services that have a name in a registry, one after the other, as above. */
export async function pushStack(
  context: Context,
  request: PushRequest,
  { tell, signal }: Follower,
): Promise<void> {
  const { options, credentials = {} } = request
  const { compression } = options
  const number = createNumbering()
  const images = serviceImages(request, scopeOf(request, options))
  const failures: TsstackError[] = []
  for (const { reference, registry } of images) {
    const own = credentials[registry]
    const one = { reference, registry, compression, credentials: own, signal, number }
    await pushOne(context, one, tell).catch((error: unknown) => {
      failures.push(toTsstackError(error))
    })
  }
  const [first] = failures
  const isCancelled = first?.code === 'CANCELLED'
  if (first !== undefined && (isCancelled || options.ignoreFailures !== true)) throw first
  for (const { message } of failures) tell({ type: 'warning', message })
  tell({ type: 'done', changed: images.length > 0, containers: [] })
}
