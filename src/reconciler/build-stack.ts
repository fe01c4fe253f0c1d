/** Builds the images of services: each when those that it needs are there, the others side by side. */
import type { BuildRequest } from '../api/build-types.ts'
import type { ProgressEvent } from '../api/types.ts'
import type { BuildHost, StepEvent } from '../builder/build-input.ts'
import { buildImage } from '../builder/build-image.ts'
import { checkBuild } from '../builder/check-build.ts'
import { parseReference } from '../engine/images/reference.ts'
import { RANGE_LENGTH, openStackUserNamespace } from '../engine/user-namespace.ts'
import { imageNameOf } from '../planner/image-name.ts'
import type { BuildDefinition } from '../spec/stack.ts'
import { dependencyGraph, selectServices } from '../planner/dependency-graph.ts'
import { TsstackError, toTsstackError } from '../errors.ts'
import { buildDefinition, needsOf, type ServiceBuild } from './build-definition.ts'
import { openBuildCaches, type BuildCaches } from './build-caches.ts'
import { whileBuilding } from './build-cache-admin.ts'
import { buildMount } from './build-mounts.ts'
import { openBuildNetwork } from './build-network.ts'
import { openRemoteContexts, type RemoteContexts } from './build-remote-contexts.ts'
import { runBuildStep, type BuildRunner } from './build-run.ts'
import type { Context } from './context.ts'
import { originOf } from './image-origin.ts'
import { pushImages } from './image-operations.ts'
import { pullReference } from './pull-services.ts'
import { FIRST_RANGE } from './stack-user-namespace.ts'
import { createNumbering } from './transfer-progress.ts'

interface Follower {
  readonly tell: (event: ProgressEvent) => void
  readonly signal: AbortSignal
}

/** Room for the layers that only the cache keeps; what was used least goes first. */
const MAX_CACHE_BYTES = 20 * 2 ** 30

/** The services that are meant, as far as they have a `build`. */
export function buildableServices({ stack, options }: BuildRequest): string[] {
  const named = options.services ?? []
  const noDeps = options.withDependencies !== true
  const chosen = [...selectServices(dependencyGraph(stack), named, { noDeps })]
  const isBuilt = (name: string): boolean => stack.services[name]?.build !== undefined
  return chosen.filter(isBuilt)
}

/** Those that are to be built, and those whose images they need. */
function withNeeded(
  { stack }: BuildRequest,
  services: readonly string[],
): [string, BuildDefinition][] {
  const found = new Map<string, BuildDefinition>()
  const visit = (name: string): void => {
    const build = stack.services[name]?.build
    if (found.has(name) || build === undefined) return
    found.set(name, build)
    needsOf(build).forEach(visit)
  }
  services.forEach(visit)
  return [...found]
}

async function collect(
  request: BuildRequest,
  services: readonly string[],
  contexts: RemoteContexts,
): Promise<Map<string, ServiceBuild>> {
  const builds = withNeeded(request, services).map(async ([service, build]) => {
    const fetched = await contexts.fetch(service, build)
    return buildDefinition({ request, service, fetched }, build)
  })
  const made = new Map((await Promise.all(builds)).map((build) => [build.service, build]))
  checkCycles(made)
  return made
}

function checkCycles(builds: ReadonlyMap<string, ServiceBuild>): void {
  const visit = (name: string, path: readonly string[]): void => {
    if (path.includes(name))
      throw new TsstackError(
        'INVALID_ARGUMENT',
        `Cannot build service "${name}": it needs itself (${[...path, name].join(' -> ')})`,
      )
    for (const needed of builds.get(name)?.needs ?? []) visit(needed, [...path, name])
  }
  for (const name of builds.keys()) visit(name, [])
}

interface Builder {
  readonly context: Context
  readonly request: BuildRequest
  readonly follower: Follower
  readonly runner: BuildRunner
  readonly number: () => number
}

const WORDS = { started: 'Building', output: 'Building', done: 'Done', cached: 'Cached' } as const

/** Steps as operations of the image that they make. */
function stepTeller({ follower, number }: Builder, image: string): (event: StepEvent) => void {
  const ids = new Map<number, number>()
  return ({ id, name, status, line, elapsedMs }) => {
    const own = ids.get(id) ?? number()
    ids.set(id, own)
    const elapsed = elapsedMs === undefined ? {} : { elapsedMs }
    const detail = line === undefined ? {} : { detail: line }
    const about = { type: 'operation', id: own, resource: 'step', name, parent: image } as const
    const statuses = {
      started: 'started',
      output: 'progress',
      cached: 'done',
      done: 'done',
    } as const
    if (status === 'failed')
      follower.tell({ ...about, action: 'Building', status: 'failed', ...detail, ...elapsed })
    else
      follower.tell({
        ...about,
        action: WORDS[status],
        status: statuses[status],
        ...detail,
        ...elapsed,
      })
  }
}

function hostOf(
  builder: Builder,
  build: ServiceBuild,
  { caches, signal }: { readonly caches: BuildCaches; readonly signal: AbortSignal },
): BuildHost {
  const { context, request, follower, runner, number } = builder
  const { workingDir, credentials } = request
  const scope = request.origin?.kind === 'git' ? `git ${request.stack.name}` : ''
  return {
    builds: context.images.builds,
    baseImage: async (reference) => {
      if (request.origin?.kind === 'git') refuseHostFiles(reference)
      const policy = build.pull ? 'always' : 'missing'
      const pull = { policy, credentials, signal, number } as const
      await pullReference(context, reference, pull, follower.tell)
      return context.images.resolve(reference, { baseDir: workingDir })
    },
    sharedStep: caches.find,
    originOf: (image) => originOf(context, image),
    owner: runner.userns.range.start,
    run: (step) => runBuildStep(runner, step),
    scope,
    cacheDirectory: (id) => buildMount(context, scope === '' ? id : `${scope}\0${id}`),
    onStep: stepTeller(builder, build.names[0] ?? build.service),
    ...checkHost(context, request, follower),
    signal,
  }
}

function checkHost(
  context: Context,
  request: BuildRequest,
  { tell }: Follower,
): Pick<BuildHost, 'environmentOf' | 'onFinding'> {
  return {
    environmentOf: async (reference) => {
      try {
        if (request.origin?.kind === 'git') refuseHostFiles(reference)
        const { config } = await context.images.resolve(reference, { baseDir: request.workingDir })
        return config.env
      } catch {
        return undefined // it is not here yet
      }
    },
    onFinding: (message) => {
      tell({ type: 'warning', message })
    },
  }
}

/** A Dockerfile from git names images: not directories and archives of this host. @throws {PERMISSION_DENIED} */
export function refuseHostFiles(text: string): void {
  const reference = parseReference(text)
  const { transport } = reference
  if (transport === 'docker') return
  if (transport === 'host' && reference.items.every(({ kind }) => kind !== 'path')) return
  throw new TsstackError(
    'PERMISSION_DENIED',
    `Cannot build from "${text}": a Dockerfile from git may not read files of this host`,
    { hint: 'Name an image of a registry, or copy the files from the build context' },
  )
}

async function buildService(
  builder: Builder,
  build: ServiceBuild,
  signal: AbortSignal,
): Promise<void> {
  const { context, request, follower, number } = builder
  const name = build.names[0] ?? build.service
  const about = { type: 'operation', id: number(), resource: 'image', name } as const
  const startedAt = performance.now()
  follower.tell({ ...about, action: 'Building', status: 'started' })
  const warn = (message: string): void => {
    follower.tell({ type: 'warning', message })
  }
  build.warnings.forEach(warn)
  const caches = openBuildCaches(context, build.caches, { request, signal, warn })
  try {
    const input = { ...build.input, names: build.names }
    const { image, steps } = await buildImage(input, hostOf(builder, build, { caches, signal }))
    await caches.write(steps, image)
    const elapsedMs = performance.now() - startedAt
    follower.tell({ ...about, action: 'Built', status: 'done', elapsedMs })
  } catch (error) {
    const [detail = ''] = toTsstackError(error).message.split('\n')
    follower.tell({ ...about, action: 'Building', status: 'failed', detail })
    throw error
  } finally {
    await caches.close()
  }
}

async function buildAll(
  builder: Builder,
  builds: ReadonlyMap<string, ServiceBuild>,
): Promise<void> {
  const stop = new AbortController()
  const signal = AbortSignal.any([builder.follower.signal, stop.signal])
  const running = new Map<string, Promise<void>>()
  const start = (build: ServiceBuild): Promise<void> => {
    const known = running.get(build.service)
    if (known !== undefined) return known
    const needed = build.needs.flatMap((name) => builds.get(name) ?? [])
    const work = Promise.all(needed.map(start))
      .then(() => buildService(builder, build, signal))
      .catch((error: unknown) => {
        stop.abort(error)
        throw error
      })
    running.set(build.service, work)
    return work
  }
  const results = await Promise.allSettled([...builds.values()].map(start))
  const failed = results.find((result) => result.status === 'rejected')
  if (builder.follower.signal.aborted)
    throw new TsstackError('CANCELLED', 'Cannot build: it was cancelled')
  if (failed !== undefined) throw toTsstackError(stop.signal.reason)
}

/** Builds services, whether their images are there or not. */
export async function buildServices(
  context: Context,
  request: BuildRequest,
  services: readonly string[],
  follower: Follower,
): Promise<void> {
  if (services.length === 0) return
  const number = createNumbering()
  const contexts = openRemoteContexts(context, request, { ...follower, number })
  const network = openBuildNetwork(context)
  const userns = openStackUserNamespace(FIRST_RANGE - RANGE_LENGTH, context.directories.layers)
  try {
    const builds = await collect(request, services, contexts)
    const runner = { context, userns, network: network.use }
    const builder = { context, request, follower, runner, number }
    await whileBuilding(() => buildAll(builder, builds))
    await context.images.builds.prune({ maxBytes: MAX_CACHE_BYTES })
  } finally {
    userns.close()
    await network.close()
    await contexts.close()
  }
}

/** `tsstack build --check`. @throws {FAILED_PRECONDITION} there are findings */
async function checkServices(
  context: Context,
  request: BuildRequest,
  { services, follower }: { readonly services: readonly string[]; readonly follower: Follower },
): Promise<void> {
  const number = createNumbering()
  const contexts = openRemoteContexts(context, request, { ...follower, number })
  const host = checkHost(context, request, follower)
  let count = 0
  try {
    for (const { input } of (await collect(request, services, contexts)).values())
      count += await checkBuild(input, host)
  } finally {
    await contexts.close()
  }
  if (count === 0) follower.tell({ type: 'done', changed: false, containers: [] })
  else
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot find the Dockerfiles in order: ${String(count)} finding${count === 1 ? '' : 's'}`,
      { hint: 'Each has a page at https://docs.docker.com/reference/build-checks/' },
    )
}

/** `tsstack build`. */
export async function buildStack(
  context: Context,
  request: BuildRequest,
  follower: Follower,
): Promise<void> {
  const services = buildableServices(request)
  if (request.options.check === true) {
    await checkServices(context, request, { services, follower })
    return
  }
  await buildServices(context, request, services, follower)
  const { credentials, options } = request
  const named = services.flatMap((name) => [
    imageNameOf(request.stack, name) ?? [],
    request.stack.services[name]?.build?.tags ?? [],
  ])
  const references = [...new Set(named.flat())]
  const { compression } = options
  if (options.push === true && references.length > 0)
    await pushImages(
      context,
      {
        references,
        ...(credentials === undefined ? {} : { credentials }),
        ...(compression === undefined ? {} : { compression }),
      },
      follower,
    )
  else follower.tell({ type: 'done', changed: services.length > 0, containers: [] })
}
