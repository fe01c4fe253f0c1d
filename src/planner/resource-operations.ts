/** Networks and volumes: what is missing, what has to be made anew, and what must not be touched. */
import { TsstackError } from '../errors.ts'
import type { NetworkDefinition, Service, Stack } from '../spec/stack.ts'
import { builtInNetwork } from './built-in-network.ts'
import {
  compareText,
  networkConfigHash,
  networkFields,
  ownValue,
  volumeConfigHash,
} from './config-hash.ts'
import { compareContainers, isLive } from './container-steps.ts'
import type { UpOptions } from './desired-state.ts'
import { describeChanges, fieldChanges } from './field-changes.ts'
import type { ObservedContainer, ObservedNetwork, ObservedState } from './observed-state.ts'
import type { FieldChange } from './plan.ts'
import { planNode, type PlanNode } from './plan-builder.ts'
import { volumesOfReplicas } from './replica-identity.ts'

/** What is to be done with the networks that the services in scope use; keys are names, not keys of the stack. */
export interface NetworkDecision {
  readonly created: ReadonlySet<string>
  /** What differs, by name; nothing where it is not known. */
  readonly replaced: ReadonlyMap<string, readonly FieldChange[]>
  readonly warnings: readonly string[]
}

/**
 * A network whose definition changed is made anew, and the containers on it are restarted onto it. With `noRecreate` it stays as it is.
 * @throws {INVALID_ARGUMENT} when a service uses a network that the stack does not define
 * @throws {NOT_FOUND} naming an external network that does not exist
 */
export function decideNetworks(
  desired: { readonly stack: Stack; readonly scope: ReadonlySet<string> },
  observed: ObservedState,
  { noRecreate }: UpOptions,
): NetworkDecision {
  const existing = new Map(observed.networks.map((network) => [network.name, network]))
  const created = new Set<string>()
  const replaced = new Map<string, readonly FieldChange[]>()
  const warnings: string[] = []
  for (const key of usedKeys(desired, (service) => Object.keys(service.networks ?? {}))) {
    const definition = ownValue(desired.stack.networks, key)
    if (!definition) throw undefinedResource('network', key)
    if (builtInNetwork(definition) !== undefined) continue
    const { name } = definition
    if (definition.external) {
      assertExists('network', name, [...existing.keys(), ...observed.others.networks])
      continue
    }
    const network = existing.get(name)
    if (!network) created.add(name)
    else if (network.key === undefined) warnings.push(notOurs('network', name))
    else if (network.configHash === networkConfigHash(definition)) continue
    else if (noRecreate)
      warnings.push(`network "${name}" has changed, but nothing is to be recreated`)
    else replaced.set(name, changesOf(network, definition))
  }
  return { created, replaced, warnings }
}

/**
 * Nodes of the networks: `created` by name, each replaced one after the end of all that were attached to it.
 * @param endings - by container id: its stop or removal
 * @throws {FAILED_PRECONDITION} when a container that the plan does not end still runs on a network to be replaced, or one
 *   of another stack is on it
 */
export function networkNodes(
  decision: NetworkDecision,
  { containers, others }: Pick<ObservedState, 'containers' | 'others'>,
  endings: ReadonlyMap<string, PlanNode>,
): ReadonlyMap<string, PlanNode> {
  const nodes = new Map<string, PlanNode>()
  for (const name of [...decision.created, ...decision.replaced.keys()].sort(compareText)) {
    const changes = decision.replaced.get(name)
    if (changes === undefined) {
      nodes.set(name, planNode({ kind: 'create-network', network: name, cause: 'network is new' }))
      continue
    }
    const cause = describeChanges(changes)
    const attached = containers
      .filter(({ networks }) => networks.includes(name))
      .sort(compareContainers)
    const holder = attached.find((container) => isLive(container) && !endings.has(container.id))
    if (holder) throw networkInUse(name, holder)
    const foreign = ownValue(others.attached ?? {}, name) ?? []
    if (foreign.length > 0) throw networkShared(name, foreign)
    const remove = planNode(
      { kind: 'remove-network', network: name, cause },
      attached.map(({ id }) => endings.get(id)),
    )
    nodes.set(name, planNode({ kind: 'create-network', network: name, cause, changes }, [remove]))
  }
  return nodes
}

function changesOf({ fields }: ObservedNetwork, definition: NetworkDefinition): FieldChange[] {
  return fields === undefined ? [] : fieldChanges(fields, networkFields(definition))
}

/**
 * Nodes of the volumes that have to be made, by key.
 * @throws {FAILED_PRECONDITION} when a volume exists with another definition: to make it anew would lose its data
 * @throws {INVALID_ARGUMENT} when a service uses a volume that the stack does not define
 * @throws {NOT_FOUND} naming an external volume that does not exist
 */
export function volumeNodes(
  desired: {
    readonly stack: Stack
    readonly scope: ReadonlySet<string>
    /** How many replicas a service is to have. Default: one. */
    readonly countOf?: (service: string) => number
  },
  observed: ObservedState,
): { readonly nodes: ReadonlyMap<string, PlanNode>; readonly warnings: readonly string[] } {
  const existing = new Map(observed.volumes.map((volume) => [volume.name, volume]))
  const nodes = new Map<string, PlanNode>()
  const warnings: string[] = []
  for (const { key, definition } of usedVolumes(desired)) {
    if (!definition) throw undefinedResource('volume', key)
    const { name } = definition
    if (definition.external) {
      assertExists('volume', name, [...existing.keys(), ...observed.others.volumes])
      continue
    }
    const volume = existing.get(name)
    if (!volume && observed.others.volumes.includes(name)) {
      warnings.push(notOurs('volume', name))
    } else if (!volume) {
      nodes.set(name, planNode({ kind: 'create-volume', volume: name, cause: 'volume is new' }))
    } else if (volume.key === undefined) {
      warnings.push(notOurs('volume', name))
    } else if (volume.configHash !== volumeConfigHash(definition)) {
      throw new TsstackError(
        'FAILED_PRECONDITION',
        `Cannot change volume "${name}": it exists with another driver or other options`,
        { hint: 'Keep its definition, give it another name, or remove it with its data: down -v' },
      )
    }
  }
  return { nodes, warnings }
}

/** In the order of their names, each once. */
function usedVolumes({
  stack,
  scope,
  countOf = () => 1,
}: Parameters<typeof volumeNodes>[0]): ReturnType<typeof volumesOfReplicas> {
  const used = Object.entries(stack.services)
    .filter(([name]) => scope.has(name))
    .flatMap(([name, service]) => volumesOfReplicas(stack, service, countOf(name)))
  const named = new Map(used.map((volume) => [volume.definition?.name ?? volume.key, volume]))
  return [...named].sort(([a], [b]) => compareText(a, b)).map(([, volume]) => volume)
}

/** Keys of the named volumes that a service mounts. */
export function volumeKeys(service: Service): readonly string[] {
  return (service.volumes ?? []).flatMap(({ type, source }) =>
    type === 'volume' && source !== undefined ? [source] : [],
  )
}

function usedKeys(
  { stack, scope }: { readonly stack: Stack; readonly scope: ReadonlySet<string> },
  keysOf: (service: Service) => readonly string[],
): readonly string[] {
  const keys = new Set<string>()
  for (const [name, service] of Object.entries(stack.services)) {
    if (scope.has(name)) for (const key of keysOf(service)) keys.add(key)
  }
  return [...keys].sort(compareText)
}

function notOurs(kind: string, name: string): string {
  return `${kind} "${name}" exists and was not made for this stack: mark it external to use it without this warning`
}

function assertExists(kind: string, name: string, existing: readonly string[]): void {
  if (existing.includes(name)) return
  throw new TsstackError(
    'NOT_FOUND',
    `Cannot use it: ${kind} ${name} declared as external, but could not be found`,
    { hint: `Make it first: tsstack ${kind} create ${name}; or bring up the stack that owns it` },
  )
}

function undefinedResource(kind: string, key: string): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', `Cannot plan ${kind} "${key}": not in the stack`)
}

function networkInUse(name: string, container: ObservedContainer): TsstackError {
  return new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot replace network "${name}": container "${container.name}" runs on it and is not part of the stack`,
    {
      hint: container.oneoff
        ? `Remove the container first: rm -f ${container.name}`
        : 'Repeat with --remove-orphans',
    },
  )
}

function networkShared(name: string, containers: readonly string[]): TsstackError {
  return new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot replace network "${name}": containers of other stacks are on it (${containers.join(', ')})`,
    { hint: 'Take those stacks down first, or give the network another name' },
  )
}
