/** Control groups v2: one tree for all controllers (kernel: admin-guide/cgroup-v2.rst). */
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs'
import { attachDeviceProgram } from '../../kernel/bpf.ts'
import { TsstackError } from '../../errors.ts'
import type { CgroupDriver, CgroupHandle, CgroupWarning } from './cgroup.ts'
import { parseFlatKeyed, parseProcesses, readNumber, tryRead, tryWrite } from './cgroup-file.ts'
import { checkCgroupName } from './cgroup-name.ts'
import { deviceProgram } from './device-program.ts'
import { resolveDeviceRules } from './device-rules.ts'
import { listNames, makeDirectory, removeDirectory } from './directory.ts'
import { applyWrite } from './limit-write.ts'
import { limitWritesV2, unsupportedV2 } from './limits-v2.ts'
import { killProcesses, readProcesses, waitUntil } from './processes.ts'
import type { ResourceLimits } from './resource-limits.ts'
import { readOomKillsV2, readStatsV2 } from './stats-v2.ts'

const CONTROLLERS = ['cpu', 'memory', 'pids', 'io', 'cpuset', 'hugetlb']
const FREEZE_TIMEOUT_MS = 1000
const KILL_FREEZE_TIMEOUT_MS = 20
const MAX_ROUNDS = 100

/** Gives the children of a cgroup the controllers that it has itself. One by one when not all can be had. */
function enableControllers(directory: string): void {
  const available = (tryRead(`${directory}/cgroup.controllers`) ?? '').trim().split(' ')
  const enabled = (tryRead(`${directory}/cgroup.subtree_control`) ?? '').trim().split(' ')
  const missing = CONTROLLERS.filter((name) => available.includes(name) && !enabled.includes(name))
  if (missing.length === 0) return
  const file = `${directory}/cgroup.subtree_control`
  const enable = (): string | undefined =>
    tryWrite(file, missing.map((name) => `+${name}`).join(' '))
  let failure = enable()
  if (failure === 'EBUSY' && vacate(directory)) failure = enable()
  if (failure === undefined) return
  for (const name of missing) tryWrite(file, `+${name}`)
}

/** Where a container's processes go when an engine in it makes cgroups of its own. */
const VACATED = 'init'

/**
 * A cgroup that holds processes gives no controllers to others (cgroup-v2.rst: No Internal Process Constraint). In a
 * container the root of the tree is such a one: what runs there moves below.
 * @returns false where it is no container's root
 */
function vacate(directory: string): boolean {
  // The root of the whole tree has no type.
  if (directory !== '/sys/fs/cgroup' || !existsSync(`${directory}/cgroup.type`)) return false
  const below = `${directory}/${VACATED}`
  if (!existsSync(below)) mkdirSync(below)
  const own = parseProcesses(tryRead(`${directory}/cgroup.procs`) ?? '')
  for (const pid of own) tryWrite(`${below}/cgroup.procs`, String(pid))
  return true
}

/** Where a process joins a container: beside those that are there, wherever they have moved to. */
function joinDirectory(directory: string): string {
  const isVacated = (tryRead(`${directory}/cgroup.subtree_control`) ?? '').trim() !== ''
  const below = `${directory}/${VACATED}`
  return isVacated && existsSync(below) ? below : directory
}

/** io.max keeps a line for each device until told otherwise. */
function clearIoMax(directory: string): void {
  for (const line of (tryRead(`${directory}/io.max`) ?? '').trim().split('\n')) {
    const device = line.split(' ')[0] ?? ''
    if (device === '') continue
    tryWrite(`${directory}/io.max`, `${device} rbps=max wbps=max riops=max wiops=max`)
  }
}

/** Fails rather than leave a container without: in the host's user namespace it could open every disk. */
function applyDevices(directory: string, limits: ResourceLimits): void {
  const fd = openSync(directory, 'r')
  try {
    attachDeviceProgram(fd, deviceProgram(resolveDeviceRules(limits.devices)))
  } catch (error) {
    throw new TsstackError(
      'FAILED_PRECONDITION',
      'Cannot limit devices: the kernel refuses the program',
      {
        cause: error,
        hint: 'The daemon needs CAP_BPF or CAP_SYS_ADMIN, and a kernel with CONFIG_CGROUP_BPF',
      },
    )
  } finally {
    closeSync(fd)
  }
}

/**
 * Below what is in use, memory.max would have the kernel kill, where v1 refuses: what can be reclaimed is (Linux 5.19), and
 * the rest keeps the old limit.
 */
function assertMemoryFits(directory: string, { memoryBytes = 0 }: ResourceLimits): void {
  if (memoryBytes <= 0) return
  const inUse = (): number => readNumber(`${directory}/memory.current`) ?? 0
  const excess = inUse() - memoryBytes
  if (excess <= 0) return
  tryWrite(`${directory}/memory.reclaim`, String(excess))
  const used = inUse()
  if (used <= memoryBytes) return
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot set memoryBytes to "${memoryBytes}": ${used} bytes are in use`,
    { hint: 'the container uses more than that now; stop it or choose a higher limit' },
  )
}

/**
 * A cpuset that holds processes can't be emptied (ENOSPC; kernel/cgroup/cpuset.c, validate_change): it is given all that
 * the cgroup above it has.
 */
function liftCpusets(directory: string, limits: ResourceLimits): void {
  const asked = { 'cpuset.cpus': limits.cpusetCpus, 'cpuset.mems': limits.cpusetMems }
  const parent = directory.slice(0, directory.lastIndexOf('/'))
  for (const [file, value] of Object.entries(asked)) {
    if ((value ?? '') !== '' || (tryRead(`${directory}/${file}`) ?? '').trim() === '') continue
    tryWrite(`${directory}/${file}`, (tryRead(`${parent}/${file}.effective`) ?? '').trim())
  }
}

function applyLimits(directory: string, limits: ResourceLimits, update: boolean): CgroupWarning[] {
  if (update) {
    assertMemoryFits(directory, limits)
    clearIoMax(directory)
  }
  applyDevices(directory, limits)
  const warnings = limitWritesV2(limits, update).map((write) => applyWrite(write, directory))
  if (update) liftCpusets(directory, limits)
  return [...unsupportedV2(limits), ...warnings.filter((warning) => warning !== undefined)]
}

function isFrozen(directory: string): boolean {
  return parseFlatKeyed(tryRead(`${directory}/cgroup.events`) ?? '').get('frozen') === 1
}

function setFrozen(directory: string, frozen: boolean, timeoutMs: number): boolean {
  if (tryWrite(`${directory}/cgroup.freeze`, frozen ? '1' : '0') !== undefined) return false
  return waitUntil(() => isFrozen(directory) === frozen, timeoutMs)
}

function killAll(directory: string): void {
  // Linux 5.14; it reaches processes that fork meanwhile, and frozen ones.
  if (tryWrite(`${directory}/cgroup.kill`, '1') === undefined) return
  setFrozen(directory, true, KILL_FREEZE_TIMEOUT_MS)
  const known = new Set<number>()
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const fresh = readProcesses(directory).filter((pid) => !known.has(pid))
    if (killProcesses(fresh) === 0) break
    for (const pid of fresh) known.add(pid)
  }
  setFrozen(directory, false, 0)
}

/** What limits-v2.ts writes. */
const LIMIT_FILES = [
  ...['memory.max', 'memory.low', 'memory.swap.max', 'cpu.max', 'cpu.weight'],
  ...['pids.max', 'cpuset.cpus', 'cpuset.mems', 'io.max', 'io.weight'],
]

function toHandle(base: string, name: string, warnings: readonly CgroupWarning[]): CgroupHandle {
  const directory = `${base}/${name}`
  return {
    name,
    get joinFiles() {
      return [`${joinDirectory(directory)}/cgroup.procs`]
    },
    get cloneDirectory() {
      return joinDirectory(directory)
    },
    warnings,
    update: (limits) => applyLimits(directory, limits, true),
    limitFiles: () => LIMIT_FILES.map((file) => `${directory}/${file}`),
    enter: (pids) => {
      const file = `${joinDirectory(directory)}/cgroup.procs`
      for (const pid of pids) tryWrite(file, String(pid))
    },
    stats() {
      if (existsSync(directory)) return readStatsV2(directory)
      throw new TsstackError(
        'NOT_FOUND',
        `Cannot read the counters of "${name}": there is no such cgroup`,
      )
    },
    processes: () => readProcesses(directory),
    freeze() {
      if (setFrozen(directory, true, FREEZE_TIMEOUT_MS)) return
      setFrozen(directory, false, 0)
      throw new TsstackError('UNAVAILABLE', `Cannot freeze "${name}": some process does not stop`)
    },
    thaw() {
      setFrozen(directory, false, FREEZE_TIMEOUT_MS)
    },
    isFrozen: () => isFrozen(directory),
    killAll: () => {
      killAll(directory)
    },
    oomKills: () => readOomKillsV2(directory),
    remove: () => removeDirectory(directory, base.slice(0, base.lastIndexOf('/'))),
  }
}

function create(base: string, name: string, limits: ResourceLimits): CgroupHandle {
  const directory = `${base}/${checkCgroupName(name)}`
  const made: string[] = []
  const add = (path: string): void => {
    made.push(path)
    if (path !== directory) enableControllers(path)
  }
  try {
    if (!existsSync(base)) enableControllers(base.slice(0, base.lastIndexOf('/')))
    makeDirectory(directory, add)
    return toHandle(base, name, applyLimits(directory, limits, !made.includes(directory)))
  } catch (thrown) {
    for (const path of made.reverse()) removeDirectory(path, path)
    throw thrown
  }
}

/**
 * The driver for hosts whose memory controller is v2.
 * @param base our directory in the tree: its parent's children must be allowed controllers, so that parent is the root
 *   of the tree or holds no processes
 */
export function createCgroupV2Driver(base: string): CgroupDriver {
  return {
    version: 2,
    create: (name, limits) => create(base, name, limits),
    open: (name) => toHandle(base, checkCgroupName(name), []),
    list: () => listNames(base).sort(),
  }
}
