/** How a stack is, gathered from the records, from what is alive, and from what the loop has seen. */
import type { ServiceStatus, StackStatus } from '../../api/status-types.ts'
import { TsstackError } from '../../errors.ts'
import { replicaCount } from '../../planner/service-replicas.ts'
import { ownValue } from '../../planner/config-hash.ts'
import { restartsByPolicy } from '../container-exit.ts'
import type { Context } from '../context.ts'
import { containersOf, healthOf } from '../observe.ts'
import type { ContainerRecord, StackRecord } from '../records.ts'
import type { RevisionRecord } from '../revisions/revision-store.ts'
import { serviceConditions, stackConditions, type ReplicaView } from './conditions.ts'
import { interventionsOf } from './interventions.ts'
import { reconcileMode } from './look.ts'

/** @throws {NOT_FOUND} for a stack that is not here */
export function statusOf(context: Context, stack: string): StackStatus {
  const record = context.stacks.get(stack)
  if (record === undefined)
    throw new TsstackError('NOT_FOUND', `Cannot find stack "${stack}": it has not been brought up`)
  const revision = context.revisions.latest(stack)
  const { suspended } = interventionsOf(context.interventions, stack)
  const { drift, failures, lookedAt, lastError, retryAt } = context.loop.stateOf(stack)
  const services = servicesOf(context, record, revision)
  return {
    stack,
    ...(revision === undefined ? {} : { revision: revision.number }),
    mode: reconcileMode(record.stack),
    ...(suspended === undefined ? {} : { suspended }),
    conditions: stackConditions(
      {
        revision,
        drift: drift.length,
        failures,
        ...(lastError === undefined ? {} : { lastError }),
      },
      new Map(services.map(({ name, conditions }) => [name, conditions])),
    ),
    services,
    drift,
    ...(lookedAt === undefined ? {} : { lookedAt }),
    ...(lastError === undefined ? {} : { lastError }),
    ...(retryAt === undefined ? {} : { retryAt }),
  }
}

function servicesOf(
  context: Context,
  { name: stack, stack: model, scope = [] }: StackRecord,
  revision: RevisionRecord | undefined,
): ServiceStatus[] {
  const { services: overrides } = interventionsOf(context.interventions, stack)
  const containers = containersOf(context, stack).filter(({ config }) => !config.oneoff)
  const names = new Set([...scope, ...containers.map(({ config }) => config.service)])
  // One that is on its way, or has failed, says so itself.
  const hashes =
    revision?.outcome.status === 'succeeded' ? context.revisions.replaceHashes(revision) : undefined
  return [...names].sort().map((name) => {
    const hash = hashes?.get(name)
    const all = containers.filter(({ config }) => config.service === name)
    const records = all.filter(({ part }) => part === undefined)
    const incoming = all.filter(({ id, part }) => part === 'standby' && context.live.has(id))
    const definition = ownValue(model.services, name)
    const override = ownValue(overrides, name)
    const desired =
      override?.replicas ?? (definition === undefined ? 0 : replicaCount(name, definition, {}))
    const view = {
      desired,
      replicas: records.map((record) => replicaView(context, record)),
      incoming: incoming.map((record) => replicaView(context, record)),
      ...(override === undefined ? {} : { override }),
      orphan: definition === undefined,
      outdated: records.filter(({ replaceHash }) => hash !== undefined && replaceHash !== hash)
        .length,
    }
    const running = records.filter(({ state }) => state === 'running').length
    const conditions = serviceConditions(view, revision?.number)
    return { name, running, conditions, desired, ...(override === undefined ? {} : { override }) }
  })
}

function replicaView(context: Context, record: ContainerRecord): ReplicaView {
  const { config, state, exitCode, error, wanted } = record
  return {
    name: config.name,
    state,
    health: healthOf(context, record),
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(error === undefined ? {} : { error }),
    completed:
      state === 'exited' && exitCode === 0 && wanted === 'running' && !restartsByPolicy(record),
  }
}
