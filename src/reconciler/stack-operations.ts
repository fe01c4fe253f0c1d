/** The entry: what a user asks of a stack. Each asks the planner what to do and has it done; one at a time for a stack. */
import type { LifecycleRequest, StackSource, UpRequest } from '../api/types.ts'
import type { Override } from '../api/status-types.ts'
import type { Digest } from '../engine/images/image.ts'
import { parseSignal } from '../engine/signals.ts'
import { ownValue } from '../planner/config-hash.ts'
import { baseStateDigest } from '../planner/base-state.ts'
import { dependencyGraph, selectServices } from '../planner/dependency-graph.ts'
import { planLifecycle, type PlannedAction } from '../planner/plan-lifecycle.ts'
import { planUp } from '../planner/plan-up.ts'
import type { Plan } from '../planner/plan.ts'
import { TsstackError } from '../errors.ts'
import type { Context } from './context.ts'
import { whileComingUp } from './images-in-use.ts'
import { resolveStack, type ImagePins } from './desired-state-of.ts'
import type { StackRecord } from './records.ts'
import type { ResolvedStack } from './resolved-stack.ts'
import { containersOf, observe } from './observe.ts'
import { buildMissing } from './build-missing.ts'
import { lookUpServices, pullServices, type PullOptions } from './pull-services.ts'
import {
  interventionsOf,
  overrideBy,
  setOverrides,
  stopBy,
  withoutStop,
} from './loop/interventions.ts'
import { tellOverrides } from './loop/tell-by-hand.ts'
import { reconcileMode } from './loop/look.ts'
import { asRevision } from './revisions/as-revision.ts'
import { finish, mannerOf, runPlan, type Progress } from './run-plan.ts'
import { freeIdRange } from './stack-user-namespace.ts'
import { isSignalling, signalContainers } from './signal-containers.ts'
import { runHastening } from './stop-container.ts'
import { waitForService } from './wait-for.ts'
import { LONGEST_TIMER_MS } from '../timer-limit.ts'

/**
 * @param pins - of all images, as a rollback has them: no registry is asked
 * @returns what `up` would do now; changes nothing but the image store
 */
export async function planStack(
  context: Context,
  request: UpRequest,
  pins?: ImagePins,
): Promise<{ readonly plan: Plan; readonly base: string }> {
  if (pins !== undefined) return planInScope(context, request, {}, pins)
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
  /** How long hooks of a start and other services are waited for. Default: without end. */
  readonly patience?: {
    /** In all, from the moment at which it has the stack to itself. */
    readonly ms: number
    /** Ends it before that. */
    readonly until: AbortSignal
  }
}

/**
 * Brings a stack up and makes what is wanted its current revision.
 * @throws what the planner refuses, before anything is changed; the first failure of the plan
 */
export function upStack(
  context: Context,
  request: UpRequest,
  progress: Progress,
  control: UpControl = {},
): Promise<void> {
  return whileComingUp(request.stack, () => bringUp(context, request, progress, control))
}

async function bringUp(
  context: Context,
  request: UpRequest,
  progress: Progress,
  control: UpControl,
): Promise<void> {
  const { name } = request.stack
  const { signal, author = 'daemon', pins = {}, rollbackOf, patience: wait } = control
  const scope = scopeOf(request).filter((service) => !Object.hasOwn(pins.services ?? {}, service))
  // Before the lock: a long pull holds up no other request of the stack.
  await pullServices(context, request, { ...pullOptions(request, scope), signal }, progress)
  await buildMissing(context, request, scope, { tell: progress, signal })
  const work = async (hurry: AbortSignal): Promise<void> => {
    const { plan, resolved } = await planInScope(context, request, {}, pins)
    const acceptance = {
      source: request,
      desired: resolved.desired,
      author,
      options: request.options,
      ...(rollbackOf === undefined ? {} : { rollbackOf }),
    }
    const overrides = scaleOverrides(request, author)
    const note = (): void => {
      const mode = reconcileMode(context.stacks.get(name)?.stack)
      rememberStack(context, request, scopeOf(request))
      // What was left as it is until now is put right, or forgotten.
      if (reconcileMode(request.stack) !== mode) context.loop.request(name)
      noteScale(context, request, overrides)
    }
    await asRevision(context, { acceptance, note }, async () => {
      tellOverrides(context, name, overrides)
      const manner = mannerOf(request, request.options.timeoutSeconds)
      const patience = wait && AbortSignal.any([wait.until, AbortSignal.timeout(wait.ms)])
      const options = { stack: name, resolved, hurry, patience, ...manner }
      const changed = await runPlan(context, plan, options, progress)
      if (request.options.wait === true)
        await waitForAll(
          context,
          { stack: name, services: scopeOf(request) },
          request.options,
          hurry,
        )
      finish(context, { stack: name, changed }, progress)
    })
  }
  await context.locks.run(`stack ${name}`, work, { urgency: 'request', abandoned: signal })
}

export interface LifecycleTarget {
  readonly stack: string
  readonly request: LifecycleRequest
  /** Who asks: see UpControl. */
  readonly author?: string
  /** Raised when the client has gone. */
  readonly signal?: AbortSignal
}

/** @returns what `start`, `stop` or `restart` would do now */
export function planStackLifecycle(
  context: Context,
  { stack: name, request }: LifecycleTarget,
  action: PlannedAction,
): Plan {
  const { services, noDeps } = request
  const options = {
    ...(services === undefined ? {} : { services }),
    ...(noDeps === undefined ? {} : { noDeps }),
  }
  const stack = context.stacks.get(name)?.stack
  return planLifecycle(action, { observed: observe(context, name), stack }, options)
}

export async function lifecycle(
  context: Context,
  target: LifecycleTarget,
  progress: Progress,
): Promise<void> {
  const { stack: name, request, author = 'daemon' } = target
  const { action } = request
  if (isSignalling(action)) {
    noteAction(context, name, { request, author })
    await signalContainers(context, target, progress)
    finish(context, { stack: name, changed: true }, progress)
    return
  }
  const work = async (hurry: AbortSignal): Promise<void> => {
    const plan = planStackLifecycle(context, target, action)
    noteAction(context, name, { request, author, started: startedBy(plan) })
    const options = { stack: name, hurry, ...mannerOf(request, request.timeoutSeconds) }
    const changed = await runPlan(context, plan, options, progress)
    if ((request.services ?? []).length === 0) markStopped(context, name, action === 'stop')
    const meant = request.services ?? []
    const services = meant.length === 0 ? undefined : [...meant, ...startedBy(plan)]
    if (request.wait === true) await waitForAll(context, { stack: name, services }, request, hurry)
    finish(context, { stack: name, changed }, progress)
  }
  const { services = [], timeoutSeconds } = request
  const urgency = action === 'stop' && services.length === 0 ? 'urgent' : 'request'
  const stops = action === 'stop' ? { services, timeoutSeconds } : {}
  const lock = { urgency, abandoned: target.signal } as const
  await runHastening(context, { stack: name, ...stops, ...lock }, work)
}

/** Services of which containers are started: those that are meant, and what goes with them. */
function startedBy({ operations }: Plan): readonly string[] {
  return operations.flatMap((operation) =>
    operation.kind === 'start-container' ? operation.service : [],
  )
}

function markStopped(context: Context, name: string, isStopped: boolean): void {
  const record = context.stacks.get(name)
  if (record === undefined || (record.stopped ?? false) === isStopped) return
  const { stopped, ...rest } = record
  context.stacks.put(name, isStopped ? { ...rest, stopped: true } : rest)
}

/** What is stopped by hand stays so until it is started by hand, or its time is over. */
function noteAction(
  context: Context,
  stack: string,
  {
    request,
    author,
    started = [],
  }: {
    readonly request: LifecycleRequest
    readonly author: string
    readonly started?: readonly string[]
  },
): void {
  const { action, services = [], signal } = request
  const isStop =
    action === 'stop' ||
    (action === 'kill' && parseSignal(signal ?? 'SIGKILL') === parseSignal('SIGKILL'))
  if (!isStop && action !== 'start' && action !== 'restart') return
  const here = new Set(containersOf(context, stack).map(({ config }) => config.service))
  const { services: overrides } = interventionsOf(context.interventions, stack)
  const changes = [...here]
    .filter(
      (service) => services.length === 0 || services.includes(service) || started.includes(service),
    )
    .filter((service) => isStop || overrides[service]?.kind === 'stopped')
    .map((service) => {
      const before = overrides[service]
      const override = isStop ? stopBy(author, before, request) : withoutStop(before)
      return [service, override] as const
    })
  if (changes.length === 0) return
  setOverrides(context.interventions, stack, Object.fromEntries(changes))
  tellOverrides(context, stack, Object.fromEntries(changes))
  context.loop.request(stack) // which ends them in time
}

/** The services that are meant, with what they depend on. */
function scopeOf({ stack, options }: UpRequest): string[] {
  const { services, noDeps } = options
  return [...selectServices(dependencyGraph(stack), services, { noDeps: noDeps ?? false })]
}

/** Replicas that were asked for beside the stack file, until an `up` that goes by the file again. */
function noteScale(
  context: Context,
  request: UpRequest,
  overrides: ReturnType<typeof scaleOverrides>,
): void {
  const { byHand = {} } = request.options
  setOverrides(context.interventions, request.stack.name, overrides)
  if (byHand.forSeconds !== undefined) context.loop.request(request.stack.name) // which ends them in time
}

/** Of each service that is meant: undefined where the file decides. */
function scaleOverrides(
  request: UpRequest,
  author: string,
): Readonly<Record<string, Override | undefined>> {
  const { scale = {}, byHand = {} } = request.options
  const changes = scopeOf(request).map((service) => {
    const replicas = ownValue(scale, service)
    const override =
      replicas === undefined ? undefined : overrideBy(author, { kind: 'scaled', replicas }, byHand)
    return [service, override] as const
  })
  return Object.fromEntries(changes)
}

/** Keeps the definition, so that the stack can be brought down, restarted and repaired without its file. */
export function rememberStack(
  context: Context,
  source: StackSource,
  broughtUp: readonly string[] = [],
): void {
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
    // What is run beside the stack is no reason to end its rest, or to bring it back.
    ...(broughtUp.length === 0 ? restOf(before) : {}),
    scope: [...new Set([...(before?.scope ?? []), ...broughtUp])].filter((service) =>
      Object.hasOwn(stack.services, service),
    ),
  }
  if (JSON.stringify(before) !== JSON.stringify(record)) context.stacks.put(stack.name, record)
}

interface WaitedFor {
  readonly stack: string
  /** Absent: all that have a container. */
  readonly services: readonly string[] | undefined
}

async function waitForAll(
  context: Context,
  { stack, services: meant }: WaitedFor,
  { waitTimeoutSeconds }: { readonly waitTimeoutSeconds?: number },
  hurry: AbortSignal,
): Promise<void> {
  const timeout =
    waitTimeoutSeconds === undefined
      ? []
      : [AbortSignal.timeout(Math.min(waitTimeoutSeconds * 1000, LONGEST_TIMER_MS))]
  const signal = AbortSignal.any([hurry, ...timeout])
  const services = new Set(
    meant ?? containersOf(context, stack).map(({ config }) => config.service),
  )
  await Promise.all(
    [...services].map((service) =>
      waitForService(context, { stack, service, goal: 'settled', signal }),
    ),
  )
}

function restOf(record: StackRecord | undefined): Pick<StackRecord, 'stopped' | 'down'> {
  const { stopped, down } = record ?? {}
  return { ...(stopped === undefined ? {} : { stopped }), ...(down === undefined ? {} : { down }) }
}
