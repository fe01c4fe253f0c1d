/** Control groups v1: one hierarchy for each controller (kernel: admin-guide/cgroup-v1/cgroups.rst). */
import { closeSync, existsSync, openSync, writeSync } from 'node:fs'
import { TsstackError } from '../../errors.ts'
import type { CgroupDriver, CgroupHandle, CgroupWarning } from './cgroup.ts'
import { errnoOf, tryRead, tryWrite } from './cgroup-file.ts'
import { checkCgroupName } from './cgroup-name.ts'
import { formatDeviceRule, resolveDeviceRules } from './device-rules.ts'
import { listNames, makeDirectory, removeDirectory } from './directory.ts'
import { applyWrite } from './limit-write.ts'
import { limitWritesV1, THROTTLE_FILES } from './limits-v1.ts'
import { killProcesses, readProcesses, waitUntil } from './processes.ts'
import type { ResourceLimits } from './resource-limits.ts'
import { readOomKillsV1, readStatsV1 } from './stats-v1.ts'

/** controller -> directory below which ours is made (`<mountpoint>/tsstack`); controllers may share one. */
export type V1Layout = ReadonlyMap<string, string>

/** Entered by every container: they count, and pausing and killing need them. */
const ALWAYS = ['memory', 'cpu', 'cpuacct', 'pids', 'blkio', 'devices', 'freezer']
/** Made when a limit asks for them: an empty cpuset admits nobody. */
const ON_DEMAND = ['cpuset', 'hugetlb']
const FREEZE_TIMEOUT_MS = 1000
const KILL_FREEZE_TIMEOUT_MS = 20
const MAX_ROUNDS = 100

/** What a handle works on. */
interface V1Cgroup {
  readonly name: string
  readonly layout: V1Layout
  /** controller -> directory of this cgroup. */
  readonly directories: ReadonlyMap<string, string>
}

function locate(layout: V1Layout, name: string): V1Cgroup {
  const directories = new Map<string, string>()
  for (const [controller, parent] of layout) directories.set(controller, `${parent}/${name}`)
  return { name, layout, directories }
}

function isWanted(controller: string, limits: ResourceLimits): boolean {
  if (controller === 'cpuset') return (limits.cpusetCpus ?? limits.cpusetMems) !== undefined
  return Object.keys(limits.hugetlb ?? {}).length > 0
}

/** The directories that a container with these limits has, each once. */
function wantedDirectories(cgroup: V1Cgroup, limits: ResourceLimits): string[] {
  const extra = ON_DEMAND.filter((controller) => isWanted(controller, limits))
  const directories = [...ALWAYS, ...extra].map((controller) => cgroup.directories.get(controller))
  return [...new Set(directories.filter((directory) => directory !== undefined))]
}

function existingDirectories(cgroup: V1Cgroup): string[] {
  return [...new Set(cgroup.directories.values())].filter((directory) => existsSync(directory))
}

/** A new cpuset is empty and admits no process: it starts with what its parent has, level by level. */
function inheritCpuset(directory: string): void {
  const parent = directory.slice(0, directory.lastIndexOf('/'))
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    tryWrite(`${directory}/${file}`, (tryRead(`${parent}/${file}`) ?? '').trim())
  }
}

function prepare(cgroup: V1Cgroup, path: string): void {
  if (path.startsWith(cgroup.layout.get('cpuset') ?? '\0')) inheritCpuset(path)
  // Only before Linux 5.11, and only while there are no children: since then it is always 1.
  const memory = cgroup.layout.get('memory')
  if (path === memory && tryRead(`${path}/memory.use_hierarchy`)?.trim() === '0') {
    tryWrite(`${path}/memory.use_hierarchy`, '1')
  }
}

function writeLines(path: string, lines: readonly string[]): void {
  if (lines.length === 0) return
  const fd = openSync(path, 'r+')
  try {
    for (const line of lines) writeSync(fd, line)
  } finally {
    closeSync(fd)
  }
}

/**
 * Makes the device list what it shall be. A list of grants is reached by its difference, so that a running container
 * never lacks /dev/null; with denials among the rules it is built anew.
 */
function applyDevices(directory: string | undefined, limits: ResourceLimits, fresh: boolean): void {
  if (directory === undefined) return
  const rules = resolveDeviceRules(limits.devices)
  try {
    if (rules.every((rule) => rule.allow) && !fresh) {
      const wanted = rules.map((rule) => (rule.type === 'a' ? 'a *:* rwm' : formatDeviceRule(rule)))
      const present = (tryRead(`${directory}/devices.list`) ?? '').trim().split('\n')
      const toShort = (line: string): string => (line.startsWith('a') ? 'a' : line)
      writeLines(
        `${directory}/devices.deny`,
        present.filter((line) => !wanted.includes(line)).map(toShort),
      )
      writeLines(
        `${directory}/devices.allow`,
        wanted.filter((line) => !present.includes(line)).map(toShort),
      )
      return
    }
    if (rules[0]?.type !== 'a') writeLines(`${directory}/devices.deny`, ['a'])
    // One grant at a time, in order: a denial takes away from those before it.
    if (rules.every((rule) => rule.allow)) {
      writeLines(
        `${directory}/devices.allow`,
        fresh && rules[0]?.type === 'a' ? [] : rules.map(formatDeviceRule),
      )
      return
    }
    for (const rule of rules) {
      writeLines(`${directory}/devices.${rule.allow ? 'allow' : 'deny'}`, [formatDeviceRule(rule)])
    }
  } catch (thrown) {
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot set devices: the kernel answers ${errnoOf(thrown)}`,
      { cause: thrown },
    )
  }
}

function applyCpuset(cgroup: V1Cgroup, limits: ResourceLimits): CgroupWarning[] {
  const directory = cgroup.directories.get('cpuset')
  const exists = directory !== undefined && existsSync(directory)
  if (!isWanted('cpuset', limits)) {
    if (exists) inheritCpuset(directory)
    return []
  }
  if (exists) inheritCpuset(directory)
  const warnings = [
    ['cpusetCpus', 'cpuset.cpus', limits.cpusetCpus] as const,
    ['cpusetMems', 'cpuset.mems', limits.cpusetMems] as const,
  ].map(([limit, file, value]) =>
    value === undefined || value === ''
      ? undefined
      : applyWrite({ limit, controller: 'cpuset', files: [file], value }, directory),
  )
  return warnings.filter((warning) => warning !== undefined)
}

/** Writes all limits. Raising memory plus swap must come before raising memory, lowering it after. */
function applyLimits(cgroup: V1Cgroup, limits: ResourceLimits, update: boolean): CgroupWarning[] {
  const warnings: (CgroupWarning | undefined)[] = []
  const writes = [...limitWritesV1(limits, update)]
  const swap = writes.findIndex((write) => write.limit === 'memorySwapBytes')
  const swapWrite = writes[swap]
  const memory = cgroup.directories.get('memory')
  const now =
    update && memory !== undefined ? readStatsV1(cgroup.directories).memory.limitBytes : undefined
  const rises = now !== undefined && (limits.memoryBytes ?? 0) > now
  if (swapWrite !== undefined && (swapWrite.value === '-1' || rises)) {
    writes.splice(swap, 1)
    writes.unshift(swapWrite)
  }
  for (const write of writes) {
    if (write.value === '100000' && write.limit === 'cpuPeriodMicros' && !update) continue
    warnings.push(applyWrite(write, cgroup.directories.get(write.controller)))
  }
  return [...warnings.filter((warning) => warning !== undefined), ...applyCpuset(cgroup, limits)]
}

/** An update starts from no throttles: those that are to stay are written again. */
function clearThrottles(directory: string | undefined): void {
  for (const file of directory === undefined ? [] : THROTTLE_FILES) {
    const lines = (tryRead(`${directory}/${file}`) ?? '').trim().split('\n')
    for (const line of lines) {
      if (line !== '') tryWrite(`${directory}/${file}`, `${line.split(' ')[0]} 0`)
    }
  }
}

/** Moves the container's own processes into a hierarchy that it wasn't in; repeated, for they fork meanwhile. */
function enterLate(cgroup: V1Cgroup, directory: string): void {
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const inside = new Set(readProcesses(directory))
    const missing = allProcesses(cgroup).filter((pid) => !inside.has(pid))
    if (missing.length === 0) return
    for (const pid of missing) tryWrite(`${directory}/cgroup.procs`, String(pid))
  }
}

function update(cgroup: V1Cgroup, limits: ResourceLimits): CgroupWarning[] {
  const made: string[] = []
  for (const directory of wantedDirectories(cgroup, limits)) {
    makeDirectory(directory, (path) => {
      prepare(cgroup, path)
      made.push(path)
    })
  }
  clearThrottles(cgroup.directories.get('blkio'))
  const warnings = applyLimits(cgroup, limits, true)
  applyDevices(cgroup.directories.get('devices'), limits, false)
  for (const directory of made) {
    if (directory.endsWith(`/${cgroup.name}`)) enterLate(cgroup, directory)
  }
  return warnings
}

function allProcesses(cgroup: V1Cgroup): number[] {
  const directory =
    cgroup.directories.get('freezer') ??
    cgroup.directories.get('pids') ??
    cgroup.directories.get('memory')
  return directory === undefined ? [] : readProcesses(directory)
}

function setFrozen(cgroup: V1Cgroup, state: 'FROZEN' | 'THAWED', timeoutMs: number): boolean {
  const file = `${cgroup.directories.get('freezer')}/freezer.state`
  if (tryWrite(file, state) !== undefined) return false
  return waitUntil(() => {
    if (tryRead(file)?.trim() === state) return true
    // FREEZING: a process was between two states; asking again makes the kernel look again.
    tryWrite(file, state)
    return false
  }, timeoutMs)
}

function freeze(cgroup: V1Cgroup): void {
  if (setFrozen(cgroup, 'FROZEN', FREEZE_TIMEOUT_MS)) return
  setFrozen(cgroup, 'THAWED', 0)
  throw new TsstackError(
    'UNAVAILABLE',
    `Cannot freeze "${cgroup.name}": some process does not stop`,
  )
}

function killAll(cgroup: V1Cgroup): void {
  // Frozen, nobody forks away while the list is read. The signals take effect with the thaw.
  setFrozen(cgroup, 'FROZEN', KILL_FREEZE_TIMEOUT_MS)
  killProcesses(allProcesses(cgroup))
  setFrozen(cgroup, 'THAWED', 0)
  // Where there is no freezer, or a process would not freeze: until no new one shows up.
  const known = new Set<number>()
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const fresh = allProcesses(cgroup).filter((pid) => !known.has(pid))
    if (killProcesses(fresh) === 0) return
    for (const pid of fresh) known.add(pid)
  }
}

/** What limits-v1.ts writes, by controller; of devices, what shows the rules. */
const LIMIT_FILES: Readonly<Record<string, readonly string[]>> = {
  memory: ['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes', 'memory.soft_limit_in_bytes'],
  cpu: ['cpu.cfs_quota_us', 'cpu.cfs_period_us', 'cpu.shares'],
  pids: ['pids.max'],
  cpuset: ['cpuset.cpus', 'cpuset.mems'],
  blkio: THROTTLE_FILES,
  devices: ['devices.list'],
}

function limitFiles({ directories }: V1Cgroup): string[] {
  return Object.entries(LIMIT_FILES).flatMap(([controller, files]) => {
    const directory = directories.get(controller)
    if (directory === undefined || !existsSync(directory)) return []
    return files.map((file) => `${directory}/${file}`)
  })
}

function toHandle(cgroup: V1Cgroup, warnings: readonly CgroupWarning[]): CgroupHandle {
  const { directories, layout, name } = cgroup
  return {
    name,
    cloneDirectory: undefined,
    warnings,
    // Thread by thread, for the whole group's `cgroup.procs` takes a lock that may wait for an RCU grace period.
    get joinFiles() {
      return existingDirectories(cgroup).map((directory) => `${directory}/tasks`)
    },
    update: (limits) => update(cgroup, limits),
    limitFiles: () => limitFiles(cgroup),
    enter: (pids) => {
      for (const directory of existingDirectories(cgroup))
        for (const pid of pids) tryWrite(`${directory}/cgroup.procs`, String(pid))
    },
    stats() {
      const memory = directories.get('memory') ?? directories.get('cpuacct')
      if (memory === undefined || !existsSync(memory)) {
        throw new TsstackError(
          'NOT_FOUND',
          `Cannot read the counters of "${name}": there is no such cgroup`,
        )
      }
      return readStatsV1(directories)
    },
    processes: () => allProcesses(cgroup),
    freeze: () => {
      freeze(cgroup)
    },
    thaw() {
      setFrozen(cgroup, 'THAWED', FREEZE_TIMEOUT_MS)
    },
    isFrozen: () =>
      (tryRead(`${directories.get('freezer')}/freezer.state`) ?? 'THAWED').trim() !== 'THAWED',
    killAll: () => {
      killAll(cgroup)
    },
    oomKills: () => readOomKillsV1(directories.get('memory') ?? ''),
    remove() {
      const done = [...layout].map(([controller, parent]) =>
        removeDirectory(
          directories.get(controller) ?? '',
          parent.slice(0, parent.lastIndexOf('/')),
        ),
      )
      return done.every(Boolean)
    },
  }
}

function create(layout: V1Layout, name: string, limits: ResourceLimits): CgroupHandle {
  const cgroup = locate(layout, checkCgroupName(name))
  const made: string[] = []
  const add = (path: string): void => {
    made.push(path)
    prepare(cgroup, path)
  }
  try {
    for (const directory of wantedDirectories(cgroup, limits)) makeDirectory(directory, add)
    const fresh = made.includes(cgroup.directories.get('memory') ?? '')
    const warnings = applyLimits(cgroup, limits, !fresh)
    applyDevices(cgroup.directories.get('devices'), limits, fresh)
    return toHandle(cgroup, warnings)
  } catch (thrown) {
    for (const path of made.reverse()) removeDirectory(path, path)
    throw thrown
  }
}

/** The driver for hosts whose memory controller is v1, hybrid ones included. */
export function createCgroupV1Driver(layout: V1Layout): CgroupDriver {
  return {
    version: 1,
    create: (name, limits) => create(layout, name, limits),
    open: (name) => toHandle(locate(layout, checkCgroupName(name)), []),
    list: () => [...new Set([...layout.values()].flatMap(listNames))].sort(),
  }
}
