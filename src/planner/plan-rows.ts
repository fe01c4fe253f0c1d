/** The rows of a plan's text: all operations on one resource are one, with a verb. Pure. */
import type { FieldChange, Hazard, Operation } from './plan.ts'
import { describePolicy } from './rollout-policy.ts'

export type Verb =
  'create' | 'update' | 'replace' | 'roll' | 'remove' | 'start' | 'stop' | 'restart' | 'wait'

/** All operations on one resource: one row of the text. */
export interface Row {
  readonly kind: 'network' | 'volume' | 'container' | 'service'
  readonly name: string
  readonly verb: Verb
  readonly cause: string
  readonly changes: readonly FieldChange[]
  /** It is also started, stopped or restarted, which the verb does not say. */
  readonly also?: string
  readonly destructive?: Hazard
  /** How many containers it is about. Default: 1. */
  readonly count?: number
}

/** Rows in the order in which the resources are finished. */
export function toRows(operations: readonly Operation[]): Row[] {
  const groups = new Map<string, Operation[]>()
  for (const operation of operations) {
    const key = groupKey(operation)
    const group = groups.get(key) ?? []
    group.push(operation)
    groups.delete(key)
    groups.set(key, group)
  }
  return [...groups.values()].flatMap((group) => toRow(group) ?? [])
}

function groupKey(operation: Operation): string {
  switch (operation.kind) {
    case 'create-network':
    case 'remove-network':
      return `network/${operation.network}`
    case 'create-volume':
    case 'remove-volume':
      return `volume/${operation.volume}`
    case 'roll-out-service':
      return `rollout/${operation.service}`
    case 'wait-for-service':
      return `wait/${operation.id}`
    case 'create-container':
    case 'update-container':
    case 'start-container':
    case 'stop-container':
    case 'remove-container':
      return `container/${operation.container}`
  }
}

function toRow(group: readonly Operation[]): Row | undefined {
  const verb = verbFor(new Set(group.map(({ kind }) => kind.replace(/-.*/, ''))))
  const main =
    group.find(({ kind }) => kind.startsWith('create')) ??
    group.find(({ kind }) => kind.startsWith('update')) ??
    group.at(-1)
  if (!main) return undefined
  const changes = 'changes' in main ? main.changes : []
  if (main.kind === 'roll-out-service') return rolloutRow(main)
  const also = alsoText(verb, group)
  const destructive = group.find((operation) => operation.destructive)?.destructive
  return {
    ...resourceOf(main),
    verb,
    cause: main.cause,
    changes,
    ...(also ? { also } : {}),
    ...(destructive ? { destructive } : {}),
  }
}

function rolloutRow(operation: Operation & { readonly kind: 'roll-out-service' }): Row {
  const { service, cause, changes, replicas, policies, destructive } = operation
  const how = describePolicy(policies.update, replicas.length)
  return {
    kind: 'service',
    name: service,
    verb: 'roll',
    cause: `${cause}, ${how}`,
    changes,
    count: replicas.length,
    ...(destructive ? { destructive } : {}),
  }
}

function verbFor(done: ReadonlySet<string>): Verb {
  if (done.has('wait')) return 'wait'
  if (done.has('roll')) return 'roll'
  if (done.has('create')) return done.has('remove') ? 'replace' : 'create'
  if (done.has('remove')) return 'remove'
  if (done.has('update')) return 'update'
  if (done.has('start')) return done.has('stop') ? 'restart' : 'start'
  return 'stop'
}

function alsoText(verb: Verb, group: readonly Operation[]): string | undefined {
  const start = group.find(({ kind }) => kind === 'start-container')
  if (verb === 'update') return start && `starts: ${start.cause}`
  const isContainer = group.some(({ kind }) => kind === 'create-container')
  return isContainer && !start ? 'is not started' : undefined
}

function resourceOf(operation: Operation): Pick<Row, 'kind' | 'name'> {
  switch (operation.kind) {
    case 'create-network':
    case 'remove-network':
      return { kind: 'network', name: operation.network }
    case 'create-volume':
    case 'remove-volume':
      return { kind: 'volume', name: operation.volume }
    case 'roll-out-service':
    case 'wait-for-service':
      return { kind: 'service', name: operation.service }
    case 'create-container':
    case 'update-container':
    case 'start-container':
    case 'stop-container':
    case 'remove-container':
      return { kind: 'container', name: operation.container }
  }
}
