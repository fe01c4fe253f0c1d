/** Limits, control groups and mounts of running containers that somebody changed from outside. */
import { setImmediate } from 'node:timers/promises'
import { findDeviceNodes } from '../../engine/host-devices.ts'
import type { FileWrites } from '../../kernel/file-writes.ts'
import type { Context, LiveContainer } from '../context.ts'
import type { ContainerRecord } from '../records.ts'
import { limitsWith } from '../resource-limits-of.ts'
import { hasEnded, isMember, readMembership, rejoinCgroup } from './cgroup-membership.ts'
import type { FoundDrift } from './drift.ts'
import { limitDifference, readLimits, watchLimits, type WatchedLimits } from './limit-watch.ts'
import { watchMounts, type WatchedMounts } from './mount-points.ts'
import { startAnew } from './start-anew.ts'

/** What a running container was like when it was last as it should be. */
interface Baseline {
  /** Of the configuration that it was made by: an update in place makes another. */
  readonly updateHash: string
  readonly membership: string
  readonly limits: WatchedLimits
  /** They were not written in a look, which may only observe, and are taken for right as they were found. */
  readonly assumed: boolean
  readonly mounts: WatchedMounts
}

/** What looks at containers remember from one to the next. */
export interface Baselines {
  readonly of: WeakMap<LiveContainer['process'], Baseline>
  /** undefined where the kernel has no more of them: then each look reads all limits. */
  readonly writes: FileWrites | undefined
}

interface Options {
  readonly baselines: Baselines
  /** Otherwise nothing is written. */
  readonly mayRepair: boolean
}

/** How long other work of the daemon may have to wait: a look goes through hundreds of containers. */
const TURN_MS = 10

/** Looks at each running container of a list; between them the event loop gets its turn. */
export async function findContainerDrift(
  context: Context,
  records: readonly ContainerRecord[],
  options: Options,
): Promise<FoundDrift[]> {
  const found: FoundDrift[] = []
  let turn = performance.now()
  for (const { id } of records) {
    // Both anew for each: they may have changed in between.
    const record = context.containers.get(id)
    const live = context.live.get(id)
    if (record !== undefined && live !== undefined)
      found.push(...driftOf(context, { record, live, ...options }))
    if (performance.now() - turn < TURN_MS) continue
    await setImmediate()
    turn = performance.now()
  }
  return found
}

interface Subject extends Options {
  readonly record: ContainerRecord
  readonly live: LiveContainer
}

function driftOf(context: Context, subject: Subject): FoundDrift[] {
  const { record, live, baselines, mayRepair } = subject
  const about = { subject: record.config.name, service: record.config.service }
  const known = baselines.of.get(live.process)
  const membership = readMembership(live)
  if (membership === undefined) return []
  if (membership !== known?.membership && !isMember(live, membership)) {
    if (hasEnded(live)) return []
    const difference = 'it is not in its cgroup'
    return [{ kind: 'cgroup', ...about, difference, repair: () => rejoin(context, subject) }]
  }
  const isUnknown = known?.assumed ?? true
  if (known?.updateHash !== record.updateHash || (isUnknown && mayRepair)) {
    const difference = isUnknown && mayRepair ? writtenAnew(subject) : undefined
    takeBaseline(context, subject, { membership, assumed: isUnknown && !mayRepair })
    if (difference === undefined) return []
    return [{ kind: 'limits', ...about, difference, repair: () => Promise.resolve() }]
  }
  const limits = known.limits.difference()
  if (limits !== undefined) {
    const repair = (): Promise<void> => {
      if (!isStillThere(context, subject)) return Promise.resolve()
      writeLimits(subject)
      takeBaseline(context, subject, { membership, assumed: false })
      return Promise.resolve()
    }
    return [{ kind: 'limits', ...about, difference: limits, repair }]
  }
  const lost = mayMount(record) ? undefined : known.mounts.lost()
  if (lost === undefined) return []
  const difference = `the mount on ${lost} is gone`
  // Mounts can't be put back into a running container's namespace as they were.
  return [{ kind: 'mount', ...about, difference, repair: () => startAnew(context, record.id) }]
}

/**
 * Somebody may have changed limits before the first look: between the start and that, or while no daemon was there. They
 * are written, which shows it.
 */
function writtenAnew(subject: Subject): string | undefined {
  const before = readLimits(subject.live.cgroup)
  writeLimits(subject)
  return limitDifference(readLimits(subject.live.cgroup), before)
}

function writeLimits({ record: { config }, live }: Subject): void {
  live.cgroup.update(limitsWith(config, findDeviceNodes(config.devices)))
}

function takeBaseline(
  context: Context,
  { record, live, baselines }: Subject,
  found: Pick<Baseline, 'membership' | 'assumed'>,
): void {
  baselines.of.set(live.process, {
    ...found,
    updateHash: record.updateHash,
    limits: watchLimits(baselines.writes, live, () => {
      context.loop.request(record.config.stack)
    }),
    mounts: watchMounts(live.process.pid),
  })
}

/** A cgroup that is made again for one that has ended meanwhile would be left for ever. */
function isStillThere(context: Context, { record, live }: Subject): boolean {
  return context.live.get(record.id)?.process === live.process && !hasEnded(live)
}

function rejoin(context: Context, subject: Subject): Promise<void> {
  const { record, live, baselines } = subject
  if (isStillThere(context, subject)) rejoinCgroup(context, record, live)
  baselines.of.delete(live.process) // its cgroup is another one
  return Promise.resolve()
}

/** It may have unmounted something itself. */
function mayMount({ config: { privileged, capAdd } }: ContainerRecord): boolean {
  return privileged || capAdd.some((name) => /^(CAP_)?(SYS_ADMIN|ALL)$/i.test(name))
}
