/** Decides for each service what is to be done with each of its containers. */
import type { Service } from '../spec/stack.ts'
import { ownValue } from './config-hash.ts'
import {
  isLive,
  removeSteps,
  restartSteps,
  type ContainerSteps,
  type StepsByService,
} from './container-steps.ts'
import type { DependencyGraph, ServiceDependency } from './dependency-graph.ts'
import type { DesiredState, UpOptions } from './desired-state.ts'
import { describeChanges, fieldChanges, inPlaceChanges, replacingChanges } from './field-changes.ts'
import type { ObservedContainer } from './observed-state.ts'
import { drainMsOf } from './rollout-policy.ts'
import { serviceConfiguration, type ServiceConfiguration } from './service-fields.ts'
import { rollingSteps } from './rollout-steps.ts'
import { containerName, replicaCount } from './service-replicas.ts'

export interface UpContext {
  readonly desired: DesiredState
  readonly options: UpOptions
  readonly graph: DependencyGraph
  /** The services to bring up; others are touched only where they can't go on without. */
  readonly scope: ReadonlySet<string>
  readonly containers: ReadonlyMap<string, readonly ObservedContainer[]>
  /** Names of networks that the plan makes: a container that says it is on one is on a network that is gone, or goes. */
  readonly newNetworks: ReadonlySet<string>
}

/** What happened to a service, for those that depend on it. */
type Fate = 'renewed' | 'restarted' | 'started'

/** One service on its way. */
interface Subject {
  readonly name: string
  readonly definition: Service
  readonly configuration: ServiceConfiguration
  readonly inScope: boolean
  /** Why every container of it has to be replaced, and why every running one has to be restarted. */
  readonly replaceCause: string | undefined
  readonly restartCause: string | undefined
  /** Something that it depends on is made anew. */
  readonly isAfterRenewal: boolean
  /** Another service needs it to be healthy, so to have ended can't be its goal; or it is to run again. */
  readonly mustRun: boolean
}

/** Steps for all services, dependencies first, so that each knows what becomes of what it depends on. */
export function serviceSteps(context: UpContext): StepsByService {
  const { graph, scope, containers, desired } = context
  const steps = new Map<string, readonly ContainerSteps[]>()
  const fates = new Map<string, Fate>()
  for (const name of graph.order) {
    const definition = ownValue(desired.stack.services, name)
    const existing = containers.get(name) ?? []
    const inScope = scope.has(name)
    if (!definition || (!inScope && existing.length === 0)) continue
    const edges = graph.dependencies.get(name) ?? []
    const subject: Subject = {
      name,
      definition,
      configuration: serviceConfiguration(name, desired),
      inScope,
      replaceCause: sharingCause(edges, fates),
      restartCause: restartCause(edges, fates),
      isAfterRenewal: edges.some(({ service }) => fates.get(service) === 'renewed'),
      mustRun: isNeededHealthy(graph, name) || context.options.rerun?.includes(name) === true,
    }
    const decided = stepsOf(context, subject, existing)
    steps.set(name, decided)
    const fate = fateOf(decided)
    if (fate) fates.set(name, fate)
  }
  return withRepeatedJobs(context, steps)
}

/** What a rollout that was cut short has left goes; the others are decided on. */
function stepsOf(
  context: UpContext,
  subject: Subject,
  existing: readonly ObservedContainer[],
): readonly ContainerSteps[] {
  const serving = existing.filter(({ part }) => part === undefined)
  const left = existing.filter(({ part }) => part !== undefined)
  if (!subject.inScope) {
    const untouched = left.map((container) => ({ service: subject.name, container }))
    return [
      ...serving.map((container) => containerSteps(context, subject, container)),
      ...untouched,
    ]
  }
  const steps = replicaSteps(context, subject, serving)
  return [
    ...left.map((container) => removeSteps(container, 'left of an update that was not completed')),
    ...rollingSteps(context, subject, steps),
  ]
}

function sharingCause(
  edges: readonly ServiceDependency[],
  fates: ReadonlyMap<string, Fate>,
): string | undefined {
  const source = edges.find((edge) => edge.shares && fates.get(edge.service) === 'renewed')
  return source && `shares a namespace with "${source.service}", which is replaced`
}

function restartCause(
  edges: readonly ServiceDependency[],
  fates: ReadonlyMap<string, Fate>,
): string | undefined {
  const source = edges.find(({ service, restart, shares }) => {
    const fate = fates.get(service)
    return (
      (restart && (fate === 'renewed' || fate === 'restarted')) || (shares && fate !== undefined)
    )
  })
  return source && `restarts with "${source.service}"`
}

function fateOf(steps: readonly ContainerSteps[]): Fate | undefined {
  const existing = steps.filter(({ container }) => container && container.part === undefined)
  if (existing.length === 0) return steps.some(({ create }) => create) ? 'renewed' : undefined
  const numbers = existing.map(({ container }) => container?.number ?? 0)
  const first = numbers.indexOf(Math.min(...numbers))
  // Namespaces are those of the first replica: without it, sharers have to move.
  if (existing.some(({ create, roll }) => create ?? roll) || existing[first]?.remove)
    return 'renewed'
  if (existing.some(({ stop, start }) => stop !== undefined && start !== undefined)) {
    return 'restarted'
  }
  return existing.some(({ start }) => start !== undefined) ? 'started' : undefined
}

/**
 * The wanted number of replicas: up-to-date containers with low numbers stay, gaps are filled. Where replicas have an
 * identity they are always those from 1 on: a higher one does not stand in for one that is missing.
 */
function replicaSteps(
  context: UpContext,
  subject: Subject,
  existing: readonly ObservedContainer[],
): ContainerSteps[] {
  const count = replicaCount(subject.name, subject.definition, context.options.scale)
  const numbers = new Set<number>()
  const isDuplicate = ({ number }: ObservedContainer): boolean =>
    numbers.size === numbers.add(number).size
  const hasIdentity = subject.definition['x-tsstack']?.replica !== undefined
  const isObsolete = (container: ObservedContainer): boolean =>
    isDuplicate(container) ||
    (hasIdentity
      ? container.number > count
      : replacementCause(context, subject, container) !== undefined)
  const ranked = existing
    .map((container) => ({ container, isObsolete: isObsolete(container) }))
    .sort((a, b) => Number(a.isObsolete) - Number(b.isObsolete))
  const room = hasIdentity ? ranked.filter((rank) => !rank.isObsolete).length : count
  const kept = ranked.slice(0, room).map(({ container }) => container)
  const surplus = ranked.slice(room).map(({ container }) => container)
  const scaled = `scaled from ${existing.length} to ${count}`
  return [
    ...kept.map((container) => containerSteps(context, subject, container)),
    ...newReplicas(context, subject, { kept, count, scaled }),
    ...surplus.map((container) => ({
      ...removeSteps(container, scaled),
      ...(count > 0 && isLive(container) ? { drainMs: drainMsOf(subject.definition) } : {}),
    })),
  ]
}

function newReplicas(
  { desired, options }: UpContext,
  { name, definition }: Subject,
  { kept, count, scaled }: { kept: readonly ObservedContainer[]; count: number; scaled: string },
): ContainerSteps[] {
  const taken = new Set(kept.map(({ number }) => number))
  const highest = Math.max(0, ...taken)
  const steps: ContainerSteps[] = []
  for (let number = 1; kept.length + steps.length < count; number++) {
    if (taken.has(number)) continue
    const missing = number < highest ? `replica ${number} is missing` : scaled
    const cause = kept.length === 0 ? 'service is new' : missing
    steps.push({
      service: name,
      create: {
        cause,
        number,
        name: containerName(desired.stack, { name, definition }, number),
        changes: [],
      },
      ...(options.noStart ? {} : { start: cause }),
    })
  }
  return steps
}

/** Why a container can't stay; undefined when it can. */
function replacementCause(
  { options }: UpContext,
  { name, inScope, configuration, replaceCause }: Subject,
  container: ObservedContainer,
): string | undefined {
  if (replaceCause !== undefined) return replaceCause
  if (!inScope || options.noRecreate) return undefined
  const isNamed = !options.services?.length || options.services.includes(name)
  if (container.replaceHash !== configuration.replaceHash) {
    return describeChanges(replacingChanges(fieldChanges(container.fields, configuration.fields)))
  }
  const isForced = isNamed ? options.forceRecreate : options.alwaysRecreateDeps
  if (isForced) return 'recreation is forced'
  return container.state === 'dead' ? 'container is dead' : undefined
}

function containerSteps(
  context: UpContext,
  subject: Subject,
  container: ObservedContainer,
): ContainerSteps {
  const cause = replacementCause(context, subject, container)
  if (cause !== undefined) return replaceSteps(context, subject, { container, cause })
  const { configuration, inScope, name } = subject
  const isChanged = inScope && container.updateHash !== configuration.updateHash
  const changes = isChanged
    ? inPlaceChanges(fieldChanges(container.fields, configuration.fields))
    : []
  return {
    service: name,
    container,
    ...(isChanged ? { update: { cause: describeChanges(changes), changes } } : {}),
    ...reconnectSteps(context, container),
    ...(context.options.noStart ? {} : runSteps(subject, container)),
  }
}

/** A container on a network that is made anew stays, and has its place on the new one when it starts again. */
function reconnectSteps(
  { options, newNetworks }: UpContext,
  container: ObservedContainer,
): Pick<ContainerSteps, 'stop' | 'start'> {
  const network = container.networks.find((attached) => newNetworks.has(attached))
  if (network === undefined || !isLive(container)) return {}
  const cause = `network "${network}" is made anew`
  return { stop: cause, ...(options.noStart ? {} : { start: cause }) }
}

function replaceSteps(
  { desired, options }: UpContext,
  { name, definition, configuration, inScope }: Subject,
  { container, cause }: { readonly container: ObservedContainer; readonly cause: string },
): ContainerSteps {
  return {
    ...removeSteps(container, cause),
    create: {
      cause,
      number: container.number,
      name: containerName(desired.stack, { name, definition }, container.number),
      ...(options.renewAnonVolumes ? {} : { replaces: container.id }),
      changes: fieldChanges(container.fields, configuration.fields),
    },
    // What did not run and was not asked for does not begin to run because a neighbour changed.
    ...(options.noStart || !(inScope || isLive(container)) ? {} : { start: cause }),
  }
}

/** Start what has ended, restart what runs and has to; paused and dead containers are left as they are. */
function runSteps(
  subject: Subject,
  container: ObservedContainer,
): Pick<ContainerSteps, 'stop' | 'start'> {
  const { definition, inScope, restartCause: cause, isAfterRenewal, mustRun } = subject
  switch (container.state) {
    case 'running':
    case 'restarting': {
      if (cause === undefined) return {}
      const { stop, start } = restartSteps(container, cause)
      return { ...(stop === undefined ? {} : { stop }), ...(start === undefined ? {} : { start }) }
    }
    case 'created':
      return inScope ? { start: 'container was never started' } : {}
    case 'exited':
      if (!inScope) return {}
      if (mustRun || !isCompleted(definition, container)) return { start: exitCause(container) }
      return isAfterRenewal ? { start: 'runs again after what it depends on was replaced' } : {}
    case 'paused':
    case 'dead':
      return {}
  }
}

function exitCause({ exitCode, stopRequested }: ObservedContainer): string {
  if (stopRequested) return 'container was stopped'
  return exitCode === undefined
    ? 'container has ended'
    : `container has ended with code ${exitCode}`
}

/**
 * A one-shot that has done its work: it ended by itself, with 0, and its restart policy is content with that. Its goal
 * is reached, so an `up` that changes nothing does not run it again (Compose does, docker/compose#11808).
 */
function isCompleted(
  { restart, deploy }: Service,
  { state, exitCode, stopRequested }: ObservedContainer,
): boolean {
  if (state !== 'exited' || exitCode !== 0 || stopRequested) return false
  if (restart !== undefined) return restart === 'no' || restart.startsWith('on-failure')
  const policy = deploy?.restart_policy
  return !policy || (policy.condition !== undefined && policy.condition !== 'any')
}

/**
 * A completed job runs again, as with Compose, when a service that depends on it is started: what it prepared may be
 * stale for it, for instance because a bind-mounted directory of migrations has grown.
 */
function withRepeatedJobs(context: UpContext, decided: StepsByService): StepsByService {
  const { graph, scope, options } = context
  if (options.noStart) return decided
  const steps = new Map(decided)
  for (const name of [...graph.order].reverse()) {
    const list = steps.get(name)
    if (!list || !scope.has(name) || !list.some(isLeftExited)) continue
    const dependent = (graph.dependents.get(name) ?? []).find((other) =>
      steps.get(other)?.some(isStarted),
    )
    if (dependent === undefined) continue
    const start = `runs again for "${dependent}"`
    steps.set(
      name,
      list.map((entry) => (isLeftExited(entry) ? { ...entry, start } : entry)),
    )
  }
  return steps
}

function isLeftExited({ container, remove, start }: ContainerSteps): boolean {
  return container?.state === 'exited' && !remove && start === undefined
}

function isStarted({ start, roll }: ContainerSteps): boolean {
  return start !== undefined || roll !== undefined
}

function isNeededHealthy(graph: DependencyGraph, service: string): boolean {
  return (graph.dependents.get(service) ?? []).some((dependent) =>
    graph.dependencies
      .get(dependent)
      ?.some((edge) => edge.service === service && edge.condition === 'service_healthy'),
  )
}
