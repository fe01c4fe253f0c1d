/** `deploy.resources` and the older service attributes as numbers; where both are there, they agree (checked by spec). */
import { ALL_DEVICES } from '../engine/cgroup/device-rules.ts'
import type { BlkioLimits, ResourceLimits } from '../engine/cgroup/resource-limits.ts'
import type { ContainerConfig } from '../engine/container-config.ts'
import { deviceRulesOf, type DeviceNode } from '../engine/host-devices.ts'
import { parseBytes } from '../spec/bytes.ts'
import { parseDurationMs } from '../spec/duration.ts'
import type { BlkioRate, Service } from '../spec/stack.ts'

const NANOS_PER_CPU = 1e9

type Writable<T> = { -readonly [K in keyof T]: T[K] }

export function resourceLimitsOf(service: Service): ResourceLimits {
  const limits = service.deploy?.resources?.limits
  const reservations = service.deploy?.resources?.reservations
  const result: Writable<ResourceLimits> = {}
  const set = <K extends keyof ResourceLimits>(
    key: K,
    value: ResourceLimits[K] | undefined,
  ): void => {
    if (value !== undefined) result[key] = value
  }
  set('memoryBytes', bytes(limits?.memory ?? service.mem_limit))
  set('memoryReservationBytes', bytes(reservations?.memory ?? service.mem_reservation))
  set('memorySwapBytes', bytes(service.memswap_limit))
  set('memorySwappiness', number(service.mem_swappiness))
  set('oomKillDisable', service.oom_kill_disable)
  const cpus = number(limits?.cpus ?? service.cpus)
  set('cpuNanos', cpus === undefined || cpus === 0 ? undefined : Math.round(cpus * NANOS_PER_CPU))
  set('cpuQuotaMicros', number(service.cpu_quota))
  set('cpuPeriodMicros', number(service.cpu_period))
  set('cpuRtPeriodMicros', micros(service.cpu_rt_period))
  set('cpuRtRuntimeMicros', micros(service.cpu_rt_runtime))
  set('cpuShares', service.cpu_shares)
  set('cpusetCpus', service.cpuset)
  set('pids', limits?.pids ?? service.pids_limit)
  set('blkio', blkioOf(service))
  return result
}

/** With the devices that the container may open. */
export function limitsWith(
  {
    resources,
    privileged,
    deviceRules,
  }: Pick<ContainerConfig, 'resources' | 'privileged' | 'deviceRules'>,
  devices: readonly DeviceNode[],
): ResourceLimits {
  if (privileged) return { ...resources, devices: ALL_DEVICES }
  if (devices.length + deviceRules.length === 0) return resources
  return { ...resources, devices: [...deviceRulesOf(devices), ...deviceRules] }
}

/** A duration, or microseconds. */
function micros(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  return /^\d+$/.test(text) ? Number(text) : Math.round(parseDurationMs(text) * 1000)
}

function bytes(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseBytes(text)
}

function number(value: number | string | undefined): number | undefined {
  return value === undefined ? undefined : Number(value)
}

function blkioOf(service: Service): BlkioLimits | undefined {
  const config = service.blkio_config
  if (config === undefined) return undefined
  const rates = (list: readonly BlkioRate[] | undefined): { path: string; rate: number }[] =>
    (list ?? []).map(({ path, rate }) => ({
      path,
      rate: typeof rate === 'number' ? rate : parseBytes(rate),
    }))
  return {
    ...(config.weight === undefined ? {} : { weight: config.weight }),
    weightDevice: config.weight_device ?? [],
    readBps: rates(config.device_read_bps),
    writeBps: rates(config.device_write_bps),
    readIops: rates(config.device_read_iops),
    writeIops: rates(config.device_write_iops),
  }
}
