/**
 * Where the control groups of this host are: pure functions over /proc/self/mountinfo and /proc/self/cgroup
 * (man 5 proc, man 7 cgroups).
 */

/** A mounted hierarchy; on v2 `controllers` is empty, for cgroup.controllers tells. */
export interface CgroupMount {
  readonly version: 1 | 2
  readonly controllers: readonly string[]
  readonly mountpoint: string
  /** The directory of the hierarchy that is mounted there: not `/` inside a container without a cgroup namespace. */
  readonly root: string
}

const MAX_LINES = 10_000
const CONTROLLERS = new Set([
  ...['memory', 'cpu', 'cpuacct', 'pids', 'blkio', 'devices', 'freezer', 'cpuset', 'hugetlb'],
])

/** mountinfo writes blanks and backslashes as octal. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
}

/** Picks the control group mounts out of mountinfo; the first mount of each hierarchy counts. */
export function parseCgroupMounts(mountinfo: string): CgroupMount[] {
  const mounts: CgroupMount[] = []
  for (const line of mountinfo.split('\n', MAX_LINES)) {
    const [before, after] = line.split(' - ')
    const [type, , options] = after?.split(' ') ?? []
    if (type !== 'cgroup' && type !== 'cgroup2') continue
    const [, , , root = '/', mountpoint = ''] = before?.split(' ') ?? []
    const controllers =
      type === 'cgroup2' ? [] : (options?.split(',') ?? []).filter((name) => CONTROLLERS.has(name))
    if (type === 'cgroup' && controllers.length === 0) continue
    const version = type === 'cgroup2' ? 2 : 1
    const known = mounts.some(
      (mount) => mount.version === version && mount.controllers.join() === controllers.join(),
    )
    if (!known) {
      mounts.push({ version, controllers, mountpoint: unescape(mountpoint), root: unescape(root) })
    }
  }
  return mounts
}

/** controller -> path in its hierarchy; the v2 hierarchy is the empty name. */
export function parseOwnCgroups(text: string): ReadonlyMap<string, string> {
  const paths = new Map<string, string>()
  for (const line of text.split('\n', MAX_LINES)) {
    const match = /^\d+:([^:]*):(.*)$/.exec(line)
    if (match === null) continue
    for (const controller of (match[1] ?? '').split(',')) paths.set(controller, match[2] ?? '/')
  }
  return paths
}

/** The directory of our own cgroup below a mount; the mountpoint itself when we are outside of what is mounted. */
export function ownDirectory(mount: CgroupMount, paths: ReadonlyMap<string, string>): string {
  const path = paths.get(mount.controllers[0] ?? '') ?? '/'
  const relative = mount.root === '/' ? path : path.slice(mount.root.length)
  const outside = !path.startsWith(mount.root) || relative.split('/').includes('..')
  return outside
    ? mount.mountpoint
    : `${mount.mountpoint}/${relative}`.replace(/\/+/g, '/').replace(/\/$/, '')
}
