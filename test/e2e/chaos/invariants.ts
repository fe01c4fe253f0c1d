/** What must be true whenever nothing is going on: the daemon's word about its containers and the kernel's are the same. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { ContainerSummary } from '../../../src/api/types.ts'
import { upRequest, type DaemonFixture } from '../../daemon-fixture.ts'
import { eventually } from '../../eventually.ts'
import type { Wanted } from './steps.ts'
import { isTampered } from './tampering.ts'

const CGROUPS = '/sys/fs/cgroup'

/**
 * Brings every stack up once more, as it was last wanted; then desired is observed.
 * @throws {Error} saying what differs
 */
export async function settle(daemon: DaemonFixture, wanted: Wanted): Promise<void> {
  // One that was killed a moment ago runs as far as the daemon knows, and `up` would leave it.
  await eventually('the daemon to know who has ended', async () =>
    (await daemon.client.containers({ all: false })).every(
      ({ pid }) => pid === undefined || isAlive(pid),
    ),
  )
  for (const { stack, variant, scale } of wanted.values()) {
    const options = scale === undefined ? {} : { scale: { web: scale } }
    await daemon.up(stack, variant, { timeoutSeconds: 1, ...options })
    const request = upRequest(stack, variant, options)
    // What ends by itself comes again by its restart policy; between the two `up` would start it at once.
    await eventually(
      `an empty plan for ${stack}`,
      async () => {
        const { plan, text } = await daemon.client.plan(stack, request)
        const rest = plan.operations.filter(
          (operation) => !JSON.stringify(operation).includes('looper'),
        )
        if (rest.length > 0) lastPlan = text
        return rest.length === 0
      },
      5000,
    ).catch((error: unknown) => {
      throw new Error(`desired is not observed for ${stack}:\n${lastPlan}`, { cause: error })
    })
  }
}

let lastPlan = ''

/** man 5 proc_pid_stat: the name of the program, in parentheses, may itself have some. */
export function isAlive(pid: number): boolean {
  try {
    return !/^.*\) [ZX]/s.test(readFileSync(`/proc/${String(pid)}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** @throws {Error} listing what is wrong, when it stays so */
export async function assertConsistent(daemon: DaemonFixture): Promise<void> {
  let wrong: string[] = []
  await eventually(
    'consistency',
    async () => {
      // What ends while it is looked at is no mistake; the next look does not see it any more.
      wrong = await inconsistencies(daemon).catch((error: unknown) => [String(error)])
      return wrong.length === 0
    },
    5000,
  ).catch(() => {
    throw new Error(`not consistent:\n${wrong.join('\n')}`)
  })
}

async function inconsistencies(daemon: DaemonFixture): Promise<string[]> {
  const containers = await daemon.client.containers({ all: true })
  const running = containers.filter(({ state }) => state === 'running' || state === 'paused')
  const networks = await daemon.client.networks()
  return [
    ...processMistakes(daemon, running),
    ...interfaceMistakes(
      daemon,
      running,
      networks.map(({ bridge }) => bridge),
    ),
    ...stateDirectoryMistakes(daemon, containers),
    ...keeperMistakes(daemon, running),
    ...running
      .filter((container) => isTampered(daemon, container))
      .map(({ name }) => `${name} has another memory limit than its own`),
  ]
}

function processMistakes(daemon: DaemonFixture, running: readonly ContainerSummary[]): string[] {
  const groups = processesByGroup(daemon.cgroupParent)
  const wrong = running.flatMap(({ name, id, stack, pid }) => {
    const inside = groups.get(`${stack}/${id}`) ?? new Set()
    return pid !== undefined && inside.has(pid)
      ? []
      : [`${name} is called running, its process ${String(pid)} is not there`]
  })
  const known = new Set(running.map(({ stack, id }) => `${stack}/${id}`))
  for (const [group, pids] of groups)
    if (!known.has(group) && group.includes('/'))
      wrong.push(`cgroup ${group} with processes ${[...pids].join(' ')} is nobody's`)
  return wrong
}

/** Every cgroup of a container below the parent, in whichever hierarchy, with its processes. */
function processesByGroup(parent: string): Map<string, Set<number>> {
  const groups = new Map<string, Set<number>>()
  for (const hierarchy of readdirSync(CGROUPS)) {
    const root = path.join(CGROUPS, hierarchy, parent)
    const names = directoriesOf(root).flatMap((stack) =>
      directoriesOf(path.join(root, stack)).map((id) => `${stack}/${id}`),
    )
    for (const name of names) {
      const pids = groups.get(name) ?? new Set()
      groups.set(name, pids)
      for (const pid of pidsOf(path.join(root, name))) pids.add(pid)
    }
  }
  return groups
}

function directoriesOf(directory: string): string[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
}

function pidsOf(group: string): number[] {
  try {
    const text = readFileSync(path.join(group, 'cgroup.procs'), 'utf8')
    return text.split('\n').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

function interfaceMistakes(
  daemon: DaemonFixture,
  running: readonly ContainerSummary[],
  bridges: readonly string[],
): string[] {
  const names = readFileSync(`/proc/${String(daemon.pid)}/net/dev`, 'utf8')
    .split('\n')
    .flatMap((line) => /^\s*([^\s:]+):/.exec(line)?.[1] ?? [])
    .filter((name) => name !== 'lo')
  const endpoints = running.reduce((sum, { networks }) => sum + Object.keys(networks).length, 0)
  const veths = names.filter((name) => !bridges.includes(name))
  return [
    ...bridges
      .filter((bridge) => !names.includes(bridge))
      .map((bridge) => `there is no bridge ${bridge}`),
    ...(veths.length === endpoints
      ? []
      : [`${String(veths.length)} veths for ${String(endpoints)} endpoints: ${veths.join(' ')}`]),
  ]
}

function stateDirectoryMistakes(
  daemon: DaemonFixture,
  containers: readonly ContainerSummary[],
): string[] {
  const ids = new Set(containers.map(({ id }) => id))
  return ['containers', 'snapshots/overlay'].flatMap((name) =>
    directoriesOf(path.join(daemon.stateDir, name))
      .filter((entry) => !ids.has(entry) && !entry.startsWith('.'))
      .map((entry) => `${name}/${entry} is nobody's`),
  )
}

/** One keeper at most, and none without a container. */
function keeperMistakes(daemon: DaemonFixture, running: readonly ContainerSummary[]): string[] {
  const keepers = daemon.others().filter(({ command }) => command === 'tsstack-keeper')
  const allowed = running.length > 0 ? 1 : 0
  return keepers.length <= allowed
    ? []
    : [`${String(keepers.length)} keepers: ${keepers.map(({ pid }) => pid).join(' ')}`]
}
