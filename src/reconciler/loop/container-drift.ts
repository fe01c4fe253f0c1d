/**
 * Limits, control groups and mounts of running containers that somebody changed from outside. The kernel writes values in
 * its own way (rounded to pages, `max`), so what it has is compared with what it had after they were last written.
 */
import { readFileSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { findDeviceNodes } from '../../engine/host-devices.ts'
import type { Context, LiveContainer } from '../context.ts'
import { launchContainer } from '../launch-container.ts'
import { containersOf } from '../observe.ts'
import type { ContainerRecord } from '../records.ts'
import { limitsWith } from '../resource-limits-of.ts'
import { stopContainer } from '../stop-container.ts'
import type { FoundDrift } from './drift.ts'

/** What a running container was like when it was last as it should be. */
interface Baseline {
  /** Of the configuration that it was made by: an update in place makes another. */
  readonly updateHash: string
  readonly limits: ReadonlyMap<string, string>
  readonly mountPoints: ReadonlySet<string>
}

/** By container id; one whose process is another now is taken anew. */
export type Baselines = Map<string, Baseline & { readonly live: LiveContainer['process'] }>

/** How long other work of the daemon may have to wait: a look at hundreds of containers reads thousands of files. */
const TURN_MS = 10

/** Looks at each running container of a stack; between them the event loop gets its turn. */
export async function findContainerDrift(
  context: Context,
  stack: string,
  baselines: Baselines,
): Promise<FoundDrift[]> {
  const found: FoundDrift[] = []
  let turn = performance.now()
  for (const { id } of containersOf(context, stack)) {
    // Both anew for each: they may have changed in between.
    const record = context.containers.get(id)
    const live = context.live.get(id)
    if (record === undefined || live === undefined || hasEnded(live)) baselines.delete(id)
    else found.push(...driftOf(context, { record, live, baselines }))
    if (performance.now() - turn < TURN_MS) continue
    await setImmediate()
    turn = performance.now()
  }
  return found
}

interface Subject {
  readonly record: ContainerRecord
  readonly live: LiveContainer
  readonly baselines: Baselines
}

function driftOf(context: Context, subject: Subject): FoundDrift[] {
  const { record, live, baselines } = subject
  const about = { subject: record.config.name, service: record.config.service }
  const rejoin = (): Promise<void> => rejoinCgroup(context, subject)
  if (!isInCgroup(live))
    return [{ kind: 'cgroup', ...about, difference: 'it is not in its cgroup', repair: rejoin }]
  const known = baselines.get(record.id)
  if (known?.live !== live.process || known.updateHash !== record.updateHash) {
    const difference = known?.live === live.process ? undefined : adoptLimits(subject)
    takeBaseline(subject)
    if (difference === undefined) return []
    return [{ kind: 'limits', ...about, difference, repair: () => Promise.resolve() }]
  }
  const limits = limitDifference(known.limits, live.cgroup.limitValues())
  if (limits !== undefined) {
    const repair = (): Promise<void> => {
      if (!isStillThere(context, subject)) return Promise.resolve()
      writeLimits(subject)
      takeBaseline(subject)
      return Promise.resolve()
    }
    return [{ kind: 'limits', ...about, difference: limits, repair }]
  }
  const lost = mayMount(record) ? undefined : lostMount(known, live)
  if (lost === undefined) return []
  const difference = `the mount on ${lost} is gone`
  return [{ kind: 'mount', ...about, difference, repair: () => startAnew(context, subject) }]
}

/** Of a container that an earlier daemon started, nobody knows what its limits were: they are written, which shows it. */
function adoptLimits(subject: Subject): string | undefined {
  const before = subject.live.cgroup.limitValues()
  writeLimits(subject)
  return limitDifference(subject.live.cgroup.limitValues(), before)
}

function writeLimits({ record: { config }, live }: Subject): void {
  live.cgroup.update(limitsWith(config, findDeviceNodes(config.devices)))
}

function takeBaseline({ record, live, baselines }: Subject): void {
  baselines.set(record.id, {
    live: live.process,
    updateHash: record.updateHash,
    limits: live.cgroup.limitValues(),
    mountPoints: mountPointsOf(live),
  })
}

function limitDifference(
  wanted: ReadonlyMap<string, string>,
  found: ReadonlyMap<string, string>,
): string | undefined {
  const changes = [...wanted].filter(([file, value]) => found.get(file) !== value)
  if (changes.length === 0) return undefined
  return changes
    .map(([file, value]) => `${file}: "${value}" is "${found.get(file) ?? 'gone'}"`)
    .join(', ')
}

/** A process that ends meanwhile has no files any more, and nothing is amiss. */
function readProcessFile({ process }: LiveContainer, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${String(process.pid)}/${name}`, 'utf8')
  } catch {
    return undefined
  }
}

/** The kernel shows a process that has ended, and is not waited for yet, in no cgroup. */
function hasEnded(live: LiveContainer): boolean {
  // The name of the program, in parentheses, may itself have some: the last one counts.
  const state = /^.*\) (\S)/s.exec(readProcessFile(live, 'stat') ?? '')?.[1]
  return state === undefined || state === 'Z' || state === 'X'
}

/** A cgroup that is made again for one that has ended meanwhile would be left for ever. */
function isStillThere(context: Context, { record, live }: Subject): boolean {
  return context.live.get(record.id)?.process === live.process && !hasEnded(live)
}

function isInCgroup(live: LiveContainer): boolean {
  const lines = readProcessFile(live, 'cgroup')?.split('\n')
  return lines?.some((line) => line.endsWith(`/${live.cgroup.name}`)) ?? true
}

/** Makes the cgroup again and moves the container's processes there: the first one and what it has started. */
function rejoinCgroup(context: Context, subject: Subject): Promise<void> {
  if (!isStillThere(context, subject)) return Promise.resolve()
  const { record, live } = subject
  const limits = limitsWith(record.config, findDeviceNodes(record.config.devices))
  const cgroup = context.cgroups.create(live.cgroup.name, limits)
  cgroup.enter(processTree(live))
  return Promise.resolve()
}

function processTree(live: LiveContainer): number[] {
  const tree = [live.process.pid]
  for (const pid of tree) {
    const children = readChildren(pid)
    tree.push(...children.filter((child) => !tree.includes(child)))
  }
  return tree
}

/** man 5 proc: the children of the first thread; those of others are met by their own cgroup's look. */
function readChildren(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${String(pid)}/task/${String(pid)}/children`, 'utf8')
    return text.split(' ').map(Number).filter(Boolean)
  } catch {
    return []
  }
}

/** It may have unmounted something itself. */
function mayMount({ config: { privileged, capAdd } }: ContainerRecord): boolean {
  return privileged || capAdd.some((name) => /^(CAP_)?(SYS_ADMIN|ALL)$/i.test(name))
}

function mountPointsOf(live: LiveContainer): Set<string> {
  const lines = readProcessFile(live, 'mountinfo')?.split('\n') ?? []
  return new Set(lines.flatMap((line) => line.split(' ')[4] ?? []))
}

function lostMount({ mountPoints }: Baseline, live: LiveContainer): string | undefined {
  const present = mountPointsOf(live)
  if (present.size === 0) return undefined
  return [...mountPoints].find((point) => !present.has(point))
}

/** Mounts can't be put back into a running container's namespace as they were: it starts again. */
async function startAnew(context: Context, { record: { id } }: Subject): Promise<void> {
  await context.locks.run(id, async () => {
    await stopContainer(context, id)
    const record = context.containers.get(id)
    if (record === undefined) return
    context.containers.put(id, { ...record, wanted: 'running' })
    await launchContainer(context, id)
  })
}
