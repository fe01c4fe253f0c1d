/** Which replacements of a service's containers are a rollout: some at a time, gated on health. */
import type { Service } from '../spec/stack.ts'
import { isLive, type ContainerSteps, type StepsByService } from './container-steps.ts'
import type { DependencyGraph } from './dependency-graph.ts'
import { rolloutPolicies, type RolloutPolicies } from './rollout-policy.ts'

interface Rolling {
  readonly graph: DependencyGraph
  /** Names of networks that the plan makes anew. */
  readonly newNetworks: ReadonlySet<string>
}

interface RolledService {
  readonly name: string
  readonly definition: Service
}

/**
 * Turns the replacements of running containers into steps of a rollout where the service has an `update_config`. What has
 * to go before its successor can be made is replaced as ever: containers on a network that is made anew, and those whose
 * namespaces are shared.
 * @throws {INVALID_ARGUMENT} for an `update_config` that can't be followed
 */
export function rollingSteps(
  { graph, newNetworks }: Rolling,
  { name, definition }: RolledService,
  steps: readonly ContainerSteps[],
): readonly ContainerSteps[] {
  const policies = rolloutPolicies(name, definition)
  if (policies === undefined || sharesNamespaces(graph, name)) return steps
  const possible = hasFixedAddress(definition) ? stoppingFirst(policies) : policies
  return steps.map((entry) => rolled(entry, possible, newNetworks) ?? entry)
}

function rolled(
  { service, container, remove, create, start }: ContainerSteps,
  policies: RolloutPolicies,
  newNetworks: ReadonlySet<string>,
): ContainerSteps | undefined {
  if (!container || !isLive(container) || !remove || !create || start === undefined)
    return undefined
  if (container.networks.some((network) => newNetworks.has(network))) return undefined
  const { cause, number, name, replaces, changes } = create
  const replica = {
    number,
    container: name,
    containerId: container.id,
    inherits: replaces !== undefined,
  }
  return { service, container, roll: { cause, replica, changes, policies } }
}

function sharesNamespaces(graph: DependencyGraph, name: string): boolean {
  const sharesWith = (service: string, other: string): boolean =>
    (graph.dependencies.get(service) ?? []).some((edge) => edge.service === other && edge.shares)
  const dependencies = (graph.dependencies.get(name) ?? []).some(({ shares }) => shares)
  return dependencies || (graph.dependents.get(name) ?? []).some((other) => sharesWith(other, name))
}

/** Two containers can't have one address at the same time. */
function hasFixedAddress({ networks, mac_address: mac }: Service): boolean {
  if (mac !== undefined) return true
  return Object.values(networks ?? {}).some(
    (attachment) =>
      attachment?.ipv4_address !== undefined ||
      attachment?.ipv6_address !== undefined ||
      attachment?.mac_address !== undefined,
  )
}

function stoppingFirst({ update, rollback, drainMs }: RolloutPolicies): RolloutPolicies {
  return {
    update: { ...update, order: 'stop-first' },
    rollback: { ...rollback, order: 'stop-first' },
    drainMs,
  }
}

/** Where what is going to be done is not what the stack asks for. */
export function rolloutWarnings(
  steps: StepsByService,
  services: Readonly<Record<string, Service>>,
): string[] {
  return [...steps].flatMap(([name, list]) => {
    const asked = services[name]?.deploy?.update_config?.order
    const replaced = list.filter(({ create, container }) => create && container)
    const rolls = list.flatMap(({ roll }) => roll ?? [])
    if (asked !== 'start-first') return []
    if (rolls.some(({ policies }) => policies.update.order !== 'start-first'))
      return [`service "${name}" has a fixed address: its containers stop before new ones start`]
    return replaced.some(({ container }) => container && isLive(container))
      ? [`service "${name}" can't be started first: its network or namespaces are replaced too`]
      : []
  })
}
