/** CPU time of groups of processes, by control groups: also of processes that have ended, and of all their children. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import path from 'node:path'

const CGROUPS = '/sys/fs/cgroup'
const V1 = path.join(CGROUPS, 'cpuacct')
const IS_V1 = existsSync(path.join(V1, 'cpuacct.usage'))
const HIERARCHY = IS_V1 ? V1 : CGROUPS

/** Makes a control group (on v1 of cpuacct). @returns the file to write a pid to, or 0 for oneself */
export function makeCpuAccount(name: string): string {
  const directory = path.join(HIERARCHY, name)
  mkdirSync(directory, { recursive: true })
  return path.join(directory, 'cgroup.procs')
}

/** Milliseconds of a group and all below it since it was made; 0 when there is none. */
export function cpuMsOf(name: string): number {
  const directory = path.join(HIERARCHY, name)
  if (!existsSync(directory)) return 0
  if (IS_V1) return Number(readFileSync(path.join(directory, 'cpuacct.usage'), 'utf8')) / 1e6
  const stat = readFileSync(path.join(directory, 'cpu.stat'), 'utf8')
  return Number(/^usage_usec (\d+)$/m.exec(stat)?.[1] ?? 0) / 1e3
}

/** Removes a group and all below it from each hierarchy. Its processes must have ended. */
export function removeCgroups(name: string): void {
  const roots = existsSync(path.join(CGROUPS, 'cgroup.procs'))
    ? [CGROUPS]
    : readdirSync(CGROUPS).map((entry) => path.join(CGROUPS, entry))
  for (const root of roots) removeTree(path.join(root, name))
}

function removeTree(directory: string): void {
  if (!existsSync(directory)) return
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(path.join(directory, entry.name))
  }
  try {
    rmdirSync(directory)
  } catch {
    // The kernel may still be busy with its last process: whoever looks at what is left says so.
  }
}
