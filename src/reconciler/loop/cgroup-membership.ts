/** Whether a container's first process is in its control group, in each hierarchy; and the way back. */
import { readFileSync, readlinkSync } from 'node:fs'
import { findDeviceNodes } from '../../engine/host-devices.ts'
import type { Context, LiveContainer } from '../context.ts'
import type { ContainerRecord } from '../records.ts'
import { limitsWith } from '../resource-limits-of.ts'

/** Where a process is, as the kernel tells it (man 7 cgroups, /proc/PID/cgroup); undefined when it has ended. */
export function readMembership({ process }: LiveContainer): string | undefined {
  return readProcessFile(process.pid, 'cgroup')
}

/** A container with an engine in it may move its processes to groups below its own. */
export function isMember({ cgroup }: LiveContainer, membership: string): boolean {
  const lines = membership
    .split('\n')
    .filter((line) => line.endsWith(`/${cgroup.name}`) || line.includes(`/${cgroup.name}/`))
  return lines.length > 0 && lines.length >= cgroup.joinFiles.length
}

/**
 * The kernel shows a process that has ended, and is not waited for yet, in no cgroup. One that is about to end has no
 * namespaces any more (kernel/exit.c, do_exit).
 */
export function hasEnded({ process }: LiveContainer): boolean {
  try {
    readlinkSync(`/proc/${String(process.pid)}/ns/net`)
    return false
  } catch {
    return true
  }
}

/** Makes the cgroup again and moves the container's processes there: the first one and what it has started. */
export function rejoinCgroup(
  context: Context,
  { config }: ContainerRecord,
  live: LiveContainer,
): void {
  const limits = limitsWith(config, findDeviceNodes(config.devices))
  context.cgroups.create(live.cgroup.name, limits).enter(processTree(live.process.pid))
}

function processTree(first: number): number[] {
  const tree = [first]
  for (const pid of tree) {
    const children = readChildren(pid)
    tree.push(...children.filter((child) => !tree.includes(child)))
  }
  return tree
}

/** man 5 proc: the children of the first thread; those of others are met by their own cgroup's look. */
function readChildren(pid: number): number[] {
  const text = readProcessFile(pid, `task/${String(pid)}/children`) ?? ''
  return text.split(' ').map(Number).filter(Boolean)
}

/** A process that ends meanwhile has no files any more, and nothing is amiss. */
function readProcessFile(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${String(pid)}/${name}`, 'utf8')
  } catch {
    return undefined
  }
}
