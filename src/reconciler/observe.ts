/** Reality as the planner wants it: a snapshot of one stack, from the records and from what is alive. */
import { compareText, ownValue } from '../planner/config-hash.ts'
import type { HealthState, ObservedContainer, ObservedState } from '../planner/observed-state.ts'
import type { Context } from './context.ts'
import type { ContainerRecord } from './records.ts'

export function observe(context: Context, stack: string): ObservedState {
  const mounted = new Set(
    context.containers.values().flatMap(({ anonymousVolumes }) => Object.values(anonymousVolumes)),
  )
  return {
    stack,
    containers: containersOf(context, stack).map((record) => observeContainer(context, record)),
    networks: context.networks
      .documentsOf(stack)
      .map(({ name, key = name, configHash, fields }) => ({
        name,
        key,
        configHash,
        ...(fields === undefined ? {} : { fields }),
      })),
    volumes: context.volumeRecords
      .values()
      .filter((volume) => volume.stack === stack)
      .filter(({ name, key }) => key !== undefined || !mounted.has(name))
      .map(({ name, key, configHash }) => ({
        name,
        ...(key === undefined ? {} : { key }),
        configHash,
      })),
    others: {
      attached: attachedToNetworksOf(context, stack),
      networks: namesBut(context.networks.documents(), stack),
      volumes: namesBut(context.volumeRecords.values(), stack),
    },
  }
}

/** Containers of other stacks by the network of this one. */
function attachedToNetworksOf(context: Context, stack: string): Record<string, string[]> {
  const attached = Object.fromEntries(
    context.networks.documentsOf(stack).map(({ name }): [string, string[]] => [name, []]),
  )
  for (const { config } of context.containers.values()) {
    if (config.stack === stack) continue
    for (const { network } of config.endpoints) ownValue(attached, network)?.push(config.name)
  }
  return attached
}

function namesBut(
  records: readonly { readonly name: string; readonly stack?: string }[],
  stack: string,
): string[] {
  return records.filter((record) => record.stack !== stack).map(({ name }) => name)
}

/** The containers of a stack by service and number, one-off ones last. */
export function containersOf(
  context: Pick<Context, 'containers'>,
  stack: string,
): ContainerRecord[] {
  return context.containers
    .values()
    .filter(({ config }) => config.stack === stack)
    .sort(
      ({ config: a }, { config: b }) =>
        Number(a.oneoff) - Number(b.oneoff) ||
        compareText(a.service, b.service) ||
        a.number - b.number,
    )
}

/** `none` without a check; a container that does not run has no health (Docker keeps the last one, which misleads). */
export function healthOf(context: Pick<Context, 'live'>, record: ContainerRecord): HealthState {
  if (record.config.health === undefined) return 'none'
  return context.live.get(record.id)?.health?.state() ?? 'none'
}

/** Whether it is to be given work: it runs, is neither just beginning nor about to stop, and is healthy or nobody asks. */
export function isReady(
  context: Pick<Context, 'live'>,
  { id, config, wanted }: ContainerRecord,
): boolean {
  const live = context.live.get(id)
  if (live === undefined || live.isWarmingUp === true || wanted !== 'running') return false
  return config.health === undefined || live.health?.state() === 'healthy'
}

function observeContainer(context: Context, record: ContainerRecord): ObservedContainer {
  const { config } = record
  return {
    id: record.id,
    name: config.name,
    service: config.service,
    number: config.number,
    oneoff: config.oneoff,
    state: record.state,
    health: healthOf(context, record),
    ...(record.part === undefined ? {} : { part: record.part }),
    ...(record.exitCode === undefined ? {} : { exitCode: record.exitCode }),
    stopRequested: record.wanted !== 'running',
    ...(Object.keys(record.anonymousVolumes).length === 0 ? {} : { hasAnonymousVolumes: true }),
    replaceHash: record.replaceHash,
    updateHash: record.updateHash,
    fields: record.fields,
    networks: config.endpoints.map((endpoint) => endpoint.network),
    dependsOn: record.dependsOn,
  }
}
