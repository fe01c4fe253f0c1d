/** Builders of desired and observed states, and a simulator of what the reconciler does with a plan. */
import type { NetworkDefinition, Service, Stack, VolumeDefinition } from '../../src/spec/stack.ts'
import {
  networkConfigHash,
  networkFields,
  volumeConfigHash,
} from '../../src/planner/config-hash.ts'
import { isLive } from '../../src/planner/container-steps.ts'
import type { DesiredState } from '../../src/planner/desired-state.ts'
import type {
  ContainerState,
  ObservedContainer,
  ObservedState,
} from '../../src/planner/observed-state.ts'
import type { Operation, Plan } from '../../src/planner/plan.ts'
import { serviceConfiguration } from '../../src/planner/service-fields.ts'

export interface StackParts {
  readonly networks?: Readonly<Record<string, NetworkDefinition>>
  readonly volumes?: Readonly<Record<string, VolumeDefinition>>
}

/** A stack `shop` whose services are on `shop_default` unless they say otherwise. */
export function desiredState(
  services: Readonly<Record<string, Service>>,
  parts: StackParts & Partial<Omit<DesiredState, 'stack'>> = {},
): DesiredState {
  const { networks, volumes = {}, ...rest } = parts
  const complete = Object.fromEntries(
    Object.entries(services).map(([name, service]): [string, Service] => [
      name,
      service.network_mode === undefined && service.networks === undefined
        ? { image: 'host:sh', networks: { default: null }, ...service }
        : { image: 'host:sh', ...service },
    ]),
  )
  const stack: Stack = {
    name: 'shop',
    services: complete,
    networks: { default: { name: 'shop_default' }, ...networks },
    volumes,
    configs: {},
    secrets: {},
  }
  return {
    stack,
    imageDigests: {},
    contentDigests: { configs: {}, secrets: {} },
    ...rest,
  }
}

export const NOTHING: ObservedState = {
  stack: 'shop',
  containers: [],
  networks: [],
  volumes: [],
  others: { networks: [], volumes: [] },
}

/**
 * What is observed after the plan was carried out: services with a health check become healthy, jobs (services that
 * another waits for to complete) end with 0. Throws where an operation is done before what it needs.
 * @param failing - ids of operations that fail and change nothing; what depends on them is not done
 */
export function simulate(
  plan: Plan,
  observed: ObservedState,
  desired?: DesiredState,
  failing: ReadonlySet<number> = new Set(),
): ObservedState {
  const world = new World(observed, desired, plan)
  const failed = new Set<number>()
  for (const operation of plan.operations) {
    const isOptional = operation.kind === 'wait-for-service' && !operation.required
    const isBlocked = !isOptional && operation.dependsOn.some((id) => failed.has(id))
    if (isBlocked || failing.has(operation.id)) failed.add(operation.id)
    else world.apply(operation)
    if (isOptional) failed.delete(operation.id)
  }
  return world.observe()
}

class World {
  readonly #containers: Map<string, ObservedContainer>
  readonly #networks: Map<string, ObservedState['networks'][number]>
  readonly #volumes: Map<string, ObservedState['volumes'][number]>
  readonly #desired: DesiredState | undefined
  readonly #observed: ObservedState
  /** Ids of containers that the plan removes: nobody waits for them. */
  readonly #doomed: ReadonlySet<string>
  #created = 0

  constructor(observed: ObservedState, desired: DesiredState | undefined, plan: Plan) {
    this.#doomed = new Set(
      plan.operations.flatMap((operation) =>
        operation.kind === 'remove-container' ? operation.containerId : [],
      ),
    )
    this.#observed = observed
    this.#desired = desired
    this.#containers = new Map(observed.containers.map((container) => [container.name, container]))
    this.#networks = new Map(observed.networks.map((network) => [network.name, network]))
    this.#volumes = new Map(observed.volumes.map((volume) => [volume.name, volume]))
  }

  observe(): ObservedState {
    return {
      stack: this.#observed.stack,
      containers: [...this.#containers.values()],
      networks: [...this.#networks.values()],
      volumes: [...this.#volumes.values()],
      others: this.#observed.others,
    }
  }

  apply(operation: Operation): void {
    switch (operation.kind) {
      case 'create-network': {
        const [key, definition] = this.#find('networks', operation.network)
        this.#expect(!this.#networks.has(operation.network), operation)
        this.#networks.set(operation.network, {
          name: operation.network,
          key,
          configHash: networkConfigHash(definition),
          fields: networkFields(definition),
        })
        return
      }
      case 'remove-network':
        this.#expect(
          ![...this.#containers.values()].some(
            (container) => isLive(container) && container.networks.includes(operation.network),
          ),
          operation,
        )
        this.#expect(this.#networks.delete(operation.network), operation)
        return
      case 'create-volume': {
        const [key, definition] = this.#find('volumes', operation.volume)
        this.#expect(!this.#volumes.has(operation.volume), operation)
        this.#volumes.set(operation.volume, {
          name: operation.volume,
          key,
          configHash: volumeConfigHash(definition),
        })
        return
      }
      case 'remove-volume':
        this.#expect(this.#volumes.delete(operation.volume), operation)
        return
      case 'create-container':
        this.#create(operation)
        return
      case 'update-container': {
        const container = this.#container(operation)
        const { fields, updateHash } = serviceConfiguration(operation.service, this.#known())
        this.#containers.set(container.name, { ...container, fields, updateHash })
        return
      }
      case 'start-container': {
        const container = this.#container(operation)
        this.#expect(container.state !== 'running' && container.state !== 'dead', operation)
        this.#containers.set(container.name, this.#started(container))
        return
      }
      case 'stop-container': {
        const container = this.#container(operation)
        this.#containers.set(container.name, {
          ...container,
          state: 'exited',
          health: 'none',
          exitCode: 0,
          stopRequested: true,
        })
        return
      }
      case 'remove-container': {
        const container = this.#container(operation)
        this.#expect(container.state !== 'running' && container.state !== 'paused', operation)
        this.#containers.delete(container.name)
        return
      }
      case 'roll-out-service': {
        for (const { containerId, container: name, number } of operation.replicas) {
          const old = [...this.#containers.values()].find(({ id }) => id === containerId)
          this.#expect(old !== undefined, operation)
          if (old) this.#containers.delete(old.name)
          this.#create({ service: operation.service, container: name, number })
          const made = this.#containers.get(name)
          if (made) this.#containers.set(name, this.#started(made))
        }
        return
      }
      case 'wait-for-service': {
        // Those on their way arrive while it waits.
        for (const entry of this.#of(operation.service)) {
          if (entry.state !== 'restarting' && entry.health !== 'starting') continue
          this.#containers.set(entry.name, { ...entry, state: 'running', health: 'healthy' })
        }
        const containers = this.#of(operation.service)
        const state =
          operation.condition === 'service_completed_successfully' ? 'exited' : 'running'
        this.#expect(
          containers.every((container) => container.state === state) || !operation.required,
          operation,
        )
        return
      }
    }
  }

  #create({
    service,
    container: name,
    number,
  }: {
    readonly service: string
    readonly container: string
    readonly number: number
  }): void {
    const desired = this.#known()
    const definition = desired.stack.services[service]
    if (!definition) throw new Error(`created a container of unknown service ${service}`)
    const networks = Object.keys(definition.networks ?? {}).map(
      (key) => desired.stack.networks[key]?.name ?? key,
    )
    if (this.#containers.has(name)) throw new Error(`name ${name} is taken`)
    for (const network of networks) {
      const isThere =
        this.#networks.has(network) ||
        Object.values(desired.stack.networks).some(
          (entry) => entry.name === network && entry.external,
        )
      if (!isThere) throw new Error(`${name} was created before network ${network}`)
    }
    this.#containers.set(name, {
      id: `new${++this.#created}-${name}`,
      name,
      service,
      number,
      oneoff: false,
      state: 'created',
      health: 'none',
      networks,
      ...serviceConfiguration(service, desired),
    })
  }

  #started(container: ObservedContainer): ObservedContainer {
    const { stack } = this.#known()
    const definition = stack.services[container.service]
    for (const [name, { condition, required }] of Object.entries(definition?.depends_on ?? {})) {
      const expected = condition === 'service_completed_successfully' ? 'exited' : 'running'
      const others = this.#of(name)
      const isReady = others.every(
        ({ state, exitCode }) =>
          state === expected ||
          state === 'restarting' ||
          (condition === 'service_started' && exitCode === 0),
      )
      if (required && !isReady) throw new Error(`${container.name} was started before ${name}`)
    }
    const rest: ObservedContainer = Object.fromEntries(
      Object.entries(container).filter(([key]) => key !== 'exitCode' && key !== 'stopRequested'),
    ) as unknown as ObservedContainer
    const isJob = Object.values(stack.services).some(
      ({ depends_on }) =>
        depends_on?.[container.service]?.condition === 'service_completed_successfully',
    )
    if (isJob) return { ...rest, state: 'exited', health: 'none', exitCode: 0 }
    return { ...rest, state: 'running', health: definition?.healthcheck ? 'healthy' : 'none' }
  }

  #of(service: string): ObservedContainer[] {
    return [...this.#containers.values()].filter(
      (container) => container.service === service && !this.#doomed.has(container.id),
    )
  }

  #container(operation: Extract<Operation, { container: string }>): ObservedContainer {
    const container = this.#containers.get(operation.container)
    if (!container) throw new Error(`${operation.kind}: no container ${operation.container}`)
    if ('containerId' in operation && operation.containerId !== container.id) {
      throw new Error(`${operation.kind}: wrong container ${operation.container}`)
    }
    return container
  }

  #find<K extends 'networks' | 'volumes'>(
    kind: K,
    name: string,
  ): [string, DesiredState['stack'][K][string]] {
    const entries = Object.entries(this.#known().stack[kind]) as [
      string,
      DesiredState['stack'][K][string],
    ][]
    const entry = entries.find(([, definition]) => definition.name === name)
    if (!entry) throw new Error(`no ${kind} ${name} in the stack`)
    return entry
  }

  #known(): DesiredState {
    if (!this.#desired) throw new Error('the operation needs a desired state')
    return this.#desired
  }

  #expect(condition: boolean, operation: Operation): void {
    if (!condition) throw new Error(`out of order: ${JSON.stringify(operation)}`)
  }
}

/** A container as it is after `up` of the service, with what is to be different. */
export function container(
  desired: DesiredState,
  service: string,
  changes: Partial<ObservedContainer> & { readonly state?: ContainerState } = {},
): ObservedContainer {
  const definition = desired.stack.services[service]
  const number = changes.number ?? 1
  return {
    id: `id-${service}-${number}`,
    name: definition?.container_name ?? `shop-${service}-${number}`,
    service,
    number,
    oneoff: false,
    state: 'running',
    health: definition?.healthcheck ? 'healthy' : 'none',
    networks: Object.keys(definition?.networks ?? {}).map(
      (key) => desired.stack.networks[key]?.name ?? key,
    ),
    ...serviceConfiguration(service, desired),
    ...changes,
  }
}
