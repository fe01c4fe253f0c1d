/**
 * Control groups as the engine sees them, v1 and v2 alike. `openCgroupDriver()` in open-cgroup-driver.ts chooses.
 *
 *   <hierarchy>/…where we may write…/tsstack/<stack>/<container id>/
 *
 * One directory in each hierarchy (v1) or one in all (v2). The daemon makes it before the container's first process
 * exists; that process enters it by itself, so its children and its memory are counted from the first page on. Calls
 * are synchronous: each is one or a few microsecond-long writes into a file of the kernel.
 */
import type { ResourceLimits } from './resource-limits.ts'

/** A limit that this host can't set; the container runs without it. */
export interface CgroupWarning {
  /** Key of ResourceLimits. */
  readonly limit: string
  /** File that was missing or refused it, or what would be needed. */
  readonly reason: string
}

export interface CpuStats {
  readonly totalNanos: number
  readonly userNanos: number
  readonly systemNanos: number
  /** Periods that have passed, and in how many of them the quota ran out, for how long. */
  readonly periods: number
  readonly throttledPeriods: number
  readonly throttledNanos: number
}

export interface MemoryStats {
  /** All that is charged, page cache included. */
  readonly usageBytes: number
  /** Usage without inactive page cache: what `docker stats` shows. */
  readonly workingSetBytes: number
  /** undefined: unlimited. */
  readonly limitBytes: number | undefined
  /** Highest usage since creation; undefined before Linux 5.19 on v2. */
  readonly maxUsageBytes: number | undefined
  readonly anonymousBytes: number
  readonly cacheBytes: number
  /** undefined where the kernel doesn't account swap. */
  readonly swapBytes: number | undefined
  readonly oomKills: number
}

export interface PidsStats {
  readonly current: number
  /** undefined: unlimited. */
  readonly limit: number | undefined
}

export interface BlkioStats {
  readonly readBytes: number
  readonly writeBytes: number
  readonly readOperations: number
  readonly writeOperations: number
}

/** How long tasks have waited for a resource (kernel: accounting/psi.rst), in microseconds since creation. */
export interface Pressure {
  /** While at least one waited. */
  readonly someMicros: number
  /** While all waited, and nothing was done. */
  readonly fullMicros: number
}

/** Counters of one container; a controller that the host lacks counts zero. */
export interface CgroupStats {
  readonly cpu: CpuStats
  readonly memory: MemoryStats
  readonly pids: PidsStats
  readonly blkio: BlkioStats
  /** Only where the kernel accounts it: v2, CONFIG_PSI. */
  readonly pressure?: {
    readonly cpu: Pressure
    readonly memory: Pressure
    readonly io: Pressure
  }
}

export interface CgroupHandle {
  /** `<stack>/<container id>`. */
  readonly name: string
  /** Files into each of which the joining thread writes `0`, before it starts others. */
  readonly joinFiles: readonly string[]
  /** v2: the directory for CLONE_INTO_CGROUP, which makes the writes needless. */
  readonly cloneDirectory: string | undefined
  /** What creation could not set. */
  readonly warnings: readonly CgroupWarning[]
  /**
   * Sets the limits of a running container. The record is the whole: what is absent goes back to unlimited.
   * @returns what this host can't set
   * @throws {FAILED_PRECONDITION} naming the limit that the kernel refused
   */
  update(limits: ResourceLimits): readonly CgroupWarning[]
  /** Paths of the files that limits are written into, or read from: to see whether somebody else changed one. */
  limitFiles(): readonly string[]
  /** Moves processes into it; one that has ended is passed over. */
  enter(pids: readonly number[]): void
  /** @throws {NOT_FOUND} when the cgroup is gone */
  stats(): CgroupStats
  /** Process ids as this process sees them; none when the cgroup is gone. */
  processes(): readonly number[]
  /** Stops every process. Waits until all are. @throws {UNAVAILABLE} when one can't be stopped within a second */
  freeze(): void
  thaw(): void
  isFrozen(): boolean
  /**
   * SIGKILL to everything in it, faster than it can fork; frozen processes too. Returns when each has its signal; their
   * end is for the caller to wait for.
   */
  killAll(): void
  /** How many processes the kernel killed here for want of memory, ever. */
  oomKills(): number
  /** Removes the directories. @returns false while processes are left in it: try again */
  remove(): boolean
}

export interface CgroupDriver {
  readonly version: 1 | 2
  /**
   * Makes a cgroup with its limits; idempotent. On failure it removes what it made.
   * @param name `<stack>/<container id>`
   * @throws {INVALID_ARGUMENT} for a name that isn't two to four plain path segments
   * @throws {FAILED_PRECONDITION} naming the limit that the kernel refused
   */
  create(name: string, limits: ResourceLimits): CgroupHandle
  /** A handle to a cgroup that an earlier daemon made, whether it exists or not. */
  open(name: string): CgroupHandle
  /** Names of all cgroups of ours, to sweep orphans. */
  list(): string[]
}
