/** A limit as what is to be written where: made by limits-v1.ts and limits-v2.ts, which are pure, carried out here. */
import { statSync } from 'node:fs'
import { TsstackError } from '../../errors.ts'
import type { CgroupWarning } from './cgroup.ts'
import { tryWrite } from './cgroup-file.ts'
import type { BlockDevice, ResourceLimits } from './resource-limits.ts'

export interface LimitWrite {
  /** Key of ResourceLimits, for messages. */
  readonly limit: string
  readonly controller: string
  /** File names of which the first that exists counts. */
  readonly files: readonly string[]
  readonly value: string
  /** Where a file takes the same thing on another scale. */
  readonly valueFor?: Readonly<Record<string, string>>
  /** Nobody asked for it (a default, or back to unlimited): no word when it fails. */
  readonly quiet?: boolean
}

const HINTS: Readonly<Record<string, string>> = {
  EBUSY: 'the container uses more than that now; stop it or choose a higher limit',
  EINVAL: 'the value is outside of what this kernel takes',
  ERANGE: 'the value is outside of what this kernel takes',
  EACCES: 'the daemon may not write there; is the cgroup tree delegated to it?',
  EPERM: 'the daemon may not write there; is the cgroup tree delegated to it?',
  ENODEV: 'there is no such block device',
}

/**
 * Writes one limit.
 * @param directory of its controller; undefined where the host lacks that
 * @returns a warning when the host has no such limit
 * @throws {FAILED_PRECONDITION} when the kernel refused the value
 */
export function applyWrite(
  write: LimitWrite,
  directory: string | undefined,
): CgroupWarning | undefined {
  const { limit, files } = write
  if (directory === undefined) {
    return write.quiet === true
      ? undefined
      : { limit, reason: `this host has no ${write.controller} controller` }
  }
  for (const file of files) {
    const value = write.valueFor?.[file] ?? write.value
    const errno = tryWrite(`${directory}/${file}`, value)
    if (errno === undefined) return undefined
    if (errno === 'ENOENT') continue
    if (write.quiet === true) return undefined
    if (errno === 'ENOTSUP') return { limit, reason: `the host has no such limit: ${file}` }
    const hint = HINTS[errno]
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot set ${limit} to "${value}": the kernel answers ${errno} for "${file}"`,
      hint === undefined ? {} : { hint },
    )
  }
  return write.quiet === true
    ? undefined
    : { limit, reason: `this kernel has no ${files.join(' or ')}` }
}

/** CPU quota and period in microseconds; `cpuNanos` wins. undefined: no limit asked for. */
export function cpuBandwidth(
  limits: ResourceLimits,
): { quota: number; period: number } | undefined {
  const period = limits.cpuPeriodMicros ?? 0
  if ((limits.cpuNanos ?? 0) > 0) {
    const base = 100_000
    return { quota: Math.round(((limits.cpuNanos ?? 0) * base) / 1e9), period: base }
  }
  if ((limits.cpuQuotaMicros ?? 0) === 0 && period === 0) return undefined
  return { quota: limits.cpuQuotaMicros ?? -1, period: period === 0 ? 100_000 : period }
}

/** Memory plus swap: as asked for, else twice the memory. undefined: no limit. */
export function memoryAndSwap(limits: ResourceLimits): number | undefined {
  const memory = limits.memoryBytes ?? 0
  const asked = limits.memorySwapBytes ?? 0
  if (asked !== 0) return asked
  return memory > 0 ? memory * 2 : undefined
}

/**
 * `major:minor` of a block device.
 * @throws {INVALID_ARGUMENT} when the path isn't one
 */
export function blockDeviceNumber(device: BlockDevice): string {
  if ('major' in device) return `${device.major}:${device.minor}`
  const stat = statSync(device.path, { throwIfNoEntry: false })
  if (stat?.isBlockDevice() !== true) {
    const state = stat === undefined ? 'there is no such file' : 'it is not a block device'
    throw new TsstackError('INVALID_ARGUMENT', `Cannot limit I/O of "${device.path}": ${state}`)
  }
  // include/linux/kdev_t.h, new_encode_dev
  const major = (stat.rdev >>> 8) & 0xfff
  return `${major}:${(stat.rdev & 0xff) | ((stat.rdev >>> 12) & 0xfff00)}`
}
