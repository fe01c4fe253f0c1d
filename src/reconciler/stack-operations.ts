/** The entry: what a user asks of a stack. Each asks the planner what to do and has it done; one at a time for a stack. */
import type {
  DownRequest,
  LifecycleRequest,
  ProgressEvent,
  StackSource,
  UpRequest,
} from '../api/types.ts'
import type { Digest } from '../engine/images/image.ts'
import { parseSignal } from '../engine/signals.ts'
import { baseStateDigest } from '../planner/base-state.ts'
import { dependencyGraph, selectServices } from '../planner/dependency-graph.ts'
import { planDown } from '../planner/plan-down.ts'
import { planLifecycle } from '../planner/plan-lifecycle.ts'
import { planUp } from '../planner/plan-up.ts'
import type { Plan } from '../planner/plan.ts'
import { TsstackError } from '../errors.ts'
import { summarize } from './container-summary.ts'
import type { Context } from './context.ts'
import { resolveStack, type ImagePins } from './desired-state-of.ts'
import type { ResolvedStack } from './resolved-stack.ts'
import { operationDriver, type DriveOptions } from './drive-operation.ts'
import { executePlan } from './execute-plan.ts'
import { containersOf, observe } from './observe.ts'
import { lookUpServices, pullServices, type PullOptions } from './pull-services.ts'
import type { ContainerRecord } from './records.ts'
import { asRevision } from './revisions/as-revision.ts'
import { freeIdRange } from './stack-user-namespace.ts'
import { killContainer, pauseContainer, unpauseContainer } from './stop-container.ts'
import { waitForService } from './wait-for.ts'

export type Progress = (event: ProgressEvent) => void

/** Starting is bound by the kernel's locks, not by waiting: a few at once keep two cores busy. */
const CONCURRENCY = 8

/** @returns what `up` would do now; changes nothing but the image store */
export async function planStack(
  context: Context,
  request: UpRequest,
): Promise<{ readonly plan: Plan; readonly base: string }> {
  const scope = scopeOf(request)
  const looked = await lookUpServices(context, request, pullOptions(request, scope))
  const { plan, base } = await planInScope(context, request, looked.ids)
  return { plan: { ...plan, warnings: [...looked.warnings, ...plan.warnings] }, base }
}

function pullOptions(
  { options, credentials }: UpRequest,
  services: readonly string[],
): PullOptions {
  return { services, policy: options.pull, otherwise: 'missing', credentials }
}

interface PlannedStack {
  readonly plan: Plan
  readonly resolved: ResolvedStack
  readonly base: string
}

async function planInScope(
  context: Context,
  request: UpRequest,
  /** Of images that are not here, by service. */
  remoteIds: Readonly<Record<string, Digest>> = {},
  pins: ImagePins = {},
): Promise<PlannedStack> {
  const here = scopeOf(request).filter((service) => !Object.hasOwn(remoteIds, service))
  const resolved = await resolveStack(context, request, here, pins)
  const imageDigests = { ...resolved.desired.imageDigests, ...remoteIds }
  const desired = { ...resolved.desired, imageDigests }
  const observed = observe(context, request.stack.name)
  const base = baseStateDigest(desired, observed, request.options)
  if (request.base !== undefined && request.base !== base) throw stalePlan(request.stack.name)
  const plan = planUp(desired, observed, request.options)
  const warnings = [...resolved.warnings, ...plan.warnings]
  return { resolved, base, plan: { ...plan, warnings } }
}

function stalePlan(stack: string): TsstackError {
  return new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot apply the plan of stack "${stack}": its containers, networks, volumes or images have changed since it was made`,
    { hint: 'Make it again: tsstack plan --out FILE' },
  )
}

/** Beside what is wanted: who wants it, and how it is to be gone about. */
export interface UpControl {
  readonly signal?: AbortSignal | undefined
  /** For the history: a user of the host, or a part of the daemon. Default: `daemon`. */
  readonly author?: string
  /** Images instead of those that their names mean now. */
  readonly pins?: ImagePins
  readonly rollbackOf?: number
}

/**
 * Brings a stack up and makes what is wanted its current revision.
 * @throws what the planner refuses, before anything is changed; the first failure of the plan
 */
export async function upStack(
  context: Context,
  request: UpRequest,
  progress: Progress,
  control: UpControl = {},
): Promise<void> {
  const { name } = request.stack
  const { signal, pins = {} } = control
  const scope = scopeOf(request).filter((service) => !Object.hasOwn(pins.services ?? {}, service))
  // Before the lock: a long pull holds up no other request of the stack.
  await pullServices(context, request, { ...pullOptions(request, scope), signal }, progress)
  await context.locks.run(`stack ${name}`, async () => {
    const { plan, resolved } = await planInScope(context, request, {}, pins)
    rememberStack(context, request)
    const { author = 'daemon', rollbackOf } = control
    const acceptance = { source: request, desired: resolved.desired, author }
    await asRevision(
      context,
      rollbackOf === undefined ? acceptance : { ...acceptance, rollbackOf },
      async () => {
        const options = { stack: name, resolved, ...grace(request.options.timeoutSeconds) }
        const changed = await run(context, plan, options, progress)
        if (request.options.wait === true) await waitForAll(context, request)
        finish(context, { stack: name, changed }, progress)
      },
    )
  })
}

/** Removes containers and networks, and volumes when asked. The stack file is not needed. */
export async function downStack(
  context: Context,
  target: { readonly stack: string; readonly request: DownRequest },
  progress: Progress,
): Promise<void> {
  const { stack: name, request } = target
  await context.locks.run(`stack ${name}`, async () => {
    const stack = request.source?.stack ?? context.stacks.get(name)?.stack
    const plan = planDown(observe(context, name), stack, request.options)
    const changed = await run(
      context,
      plan,
      { stack: name, ...grace(request.options.timeoutSeconds) },
      progress,
    )
    forgetIfEmpty(context, name)
    finish(context, { stack: name, changed }, progress)
  })
}

export async function lifecycle(
  context: Context,
  target: { readonly stack: string; readonly request: LifecycleRequest },
  progress: Progress,
): Promise<void> {
  const { stack: name, request } = target
  const { action } = request
  if (action === 'kill' || action === 'pause' || action === 'unpause') {
    await signalContainers(context, name, request)
    finish(context, { stack: name, changed: true }, progress)
    return
  }
  await context.locks.run(`stack ${name}`, async () => {
    const options = request.services === undefined ? {} : { services: request.services }
    const plan = planLifecycle(
      action,
      { observed: observe(context, name), stack: context.stacks.get(name)?.stack },
      options,
    )
    const changed = await run(
      context,
      plan,
      { stack: name, ...grace(request.timeoutSeconds) },
      progress,
    )
    finish(context, { stack: name, changed }, progress)
  })
}

/** These need no order, and a stuck start must not hold them up. */
async function signalContainers(
  context: Context,
  stack: string,
  request: LifecycleRequest,
): Promise<void> {
  const wanted = request.services ?? []
  const records = containersOf(context, stack).filter(
    ({ config }) => wanted.length === 0 || wanted.includes(config.service),
  )
  const missing = wanted.find(
    (service) => !records.some(({ config }) => config.service === service),
  )
  if (missing !== undefined)
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot ${request.action} service "${missing}": it has no container`,
    )
  const signal = parseSignal(request.signal ?? 'SIGKILL')
  const act = async ({ id }: ContainerRecord): Promise<void> => {
    if (request.action === 'kill') await killContainer(context, id, signal)
    else if (request.action === 'pause') pauseContainer(context, id)
    else unpauseContainer(context, id)
  }
  await Promise.all(records.map(act))
}

/** The services that are meant, with what they depend on. */
function scopeOf({ stack, options }: UpRequest): string[] {
  const { services, noDeps } = options
  return [...selectServices(dependencyGraph(stack), services, { noDeps: noDeps ?? false })]
}

async function run(
  context: Context,
  plan: Plan,
  options: DriveOptions,
  progress: Progress,
): Promise<boolean> {
  progress({ type: 'plan', operations: plan.operations.length })
  for (const message of plan.warnings) progress({ type: 'warning', message })
  await executePlan(plan, {
    drive: operationDriver(context, { ...options, going: removedBy(plan), progress }),
    progress,
    concurrency: CONCURRENCY,
  })
  return plan.operations.length > 0
}

function removedBy(plan: Plan): ReadonlySet<string> {
  return new Set(
    plan.operations.flatMap((operation) =>
      operation.kind === 'remove-container' ? [operation.containerId] : [],
    ),
  )
}

function grace(timeoutSeconds: number | undefined): { graceMs?: number } {
  return timeoutSeconds === undefined ? {} : { graceMs: timeoutSeconds * 1000 }
}

function finish(
  context: Context,
  done: { readonly stack: string; readonly changed: boolean },
  progress: Progress,
): void {
  const containers = containersOf(context, done.stack).map((record) => summarize(context, record))
  progress({ type: 'done', changed: done.changed, containers })
}

/** Keeps the definition, so that the stack can be brought down, restarted and repaired without its file. */
export function rememberStack(context: Context, source: StackSource): void {
  const { stack, files, workingDir, contents, origin } = source
  const before = context.stacks.get(stack.name)
  const record = {
    name: stack.name,
    idRangeStart: before?.idRangeStart ?? freeIdRange(context),
    stack,
    files,
    workingDir,
    contents,
    ...(origin === undefined ? {} : { origin }),
  }
  if (JSON.stringify(before) !== JSON.stringify(record)) context.stacks.put(stack.name, record)
}

/** When nothing of the stack is left, nothing of it is remembered; a volume that stays keeps no range, its ids are plain. */
function forgetIfEmpty(context: Context, name: string): void {
  if (containersOf(context, name).length > 0 || context.networks.documentsOf(name).length > 0)
    return
  context.userNamespaces.get(name)?.close()
  context.userNamespaces.delete(name)
  context.stacks.delete(name)
}

async function waitForAll(context: Context, request: UpRequest): Promise<void> {
  const { waitTimeoutSeconds } = request.options
  const signal =
    waitTimeoutSeconds === undefined
      ? {}
      : { signal: AbortSignal.timeout(waitTimeoutSeconds * 1000) }
  const services = new Set(
    containersOf(context, request.stack.name).map(({ config }) => config.service),
  )
  await Promise.all(
    [...services].map((service) =>
      waitForService(context, { stack: request.stack.name, service, goal: 'settled', ...signal }),
    ),
  )
}
