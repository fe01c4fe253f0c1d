/** What a container sees of the kernel at /proc and /sys: what is hidden of it, and where a stack may mount something else. */
import { TsstackError } from '../errors.ts'
import type { ContainerMount } from './container-config.ts'

/** The OCI runtime's usual lists (moby oci/defaults.go); the kernel's own files that tell or change too much. */
export const MASKED_PATHS = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
]
export const READ_ONLY_PATHS = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
]

const RESERVED = new Set(['/', '/proc'])
const REPLACEABLE = new Set(['/sys', '/dev'])
/** What of /proc may be shown otherwise, since it decides nothing (runc: checkProcMount). */
const SHOWN = [
  ...['cpuinfo', 'diskstats', 'meminfo', 'stat', 'swaps', 'uptime', 'loadavg', 'slabinfo'],
  ...['net/dev', 'sys/kernel/ns_last_pid', 'sys/crypto/fips_enabled'],
].map((name) => `/proc/${name}`)

/** proc and sysfs are mounted by the container itself: what was in their place before would be hidden below them. */
export function isBelowKernelView(target: string): boolean {
  return target.startsWith('/proc/') || target.startsWith('/sys/')
}

/** Whether it takes the place of a tree that a container has of its own: that of the host, as programs for the host want it. */
export function isInstead({ kind, target }: ContainerMount): boolean {
  return kind === 'bind' && REPLACEABLE.has(target)
}

/** @throws {INVALID_ARGUMENT} for a place where a stack may not mount anything */
export function assertTargetIsFree(mount: ContainerMount): void {
  const { target } = mount
  const isProc = target.startsWith('/proc/')
  const isReserved = (RESERVED.has(target) || REPLACEABLE.has(target)) && !isInstead(mount)
  if (!isReserved && (!isProc || SHOWN.includes(target))) return
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot mount at "${target}": the engine needs that path`,
    isProc ? { hint: `Of /proc a mount may cover ${SHOWN.join(', ')}` } : {},
  )
}
