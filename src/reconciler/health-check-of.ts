/** A service's health check: its own attributes over the image's, or a probe of tsstack's own. */
import type { HealthCheck } from '../engine/container-config.ts'
import type { Image } from '../engine/images/image.ts'
import { parseDurationMs } from '../spec/duration.ts'
import type { Probe, Service } from '../spec/stack.ts'
import { TsstackError } from '../errors.ts'

const NANOS_PER_MS = 1e6
const DEFAULTS = {
  intervalMs: 30_000,
  timeoutMs: 30_000,
  retries: 3,
  startPeriodMs: 0,
  startIntervalMs: 5_000,
}
const DEFAULT_SHELL = ['/bin/sh', '-c']

/** @returns undefined: the container has no check */
export function healthCheckOf(service: Service, image: Image): HealthCheck | undefined {
  const own = service.healthcheck
  if (own?.disable === true) return undefined
  const inherited = image.config.healthcheck
  const probe = service['x-tsstack']?.probe
  const ownTest = own?.test?.length === 0 ? undefined : own?.test
  const test = probe === undefined ? testOf(ownTest ?? inherited?.test, image) : probeTest(probe)
  if (test === undefined) return undefined
  assertStartPeriod(own)
  // As Docker has it: 0 says as little as nothing.
  const pick = (text: string | undefined, nanos: number | undefined, fallback: number): number =>
    durationOf(text) || (nanos ?? 0) / NANOS_PER_MS || fallback
  return {
    test,
    intervalMs: pick(own?.interval, inherited?.interval, DEFAULTS.intervalMs),
    timeoutMs: pick(own?.timeout, inherited?.timeout, DEFAULTS.timeoutMs),
    retries: own?.retries || inherited?.retries || DEFAULTS.retries,
    startPeriodMs: pick(own?.start_period, inherited?.startPeriod, DEFAULTS.startPeriodMs),
    startIntervalMs: pick(own?.start_interval, inherited?.startInterval, DEFAULTS.startIntervalMs),
  }
}

/** @throws {INVALID_ARGUMENT} below a millisecond, as Docker: a container would be asked without pause */
function durationOf(text = '0s'): number {
  const durationMs = parseDurationMs(text)
  if (durationMs === 0 || durationMs >= 1) return durationMs
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot check health: "${text}" is shorter than a millisecond`,
    { hint: 'Write 1ms or more, or leave it out' },
  )
}

/** As Docker: without a period there is nothing for the interval to be about. */
function assertStartPeriod(own: Service['healthcheck']): void {
  if (own?.start_interval === undefined || own.start_period !== undefined) return
  throw new TsstackError(
    'INVALID_ARGUMENT',
    'Cannot check health: healthcheck.start_interval requires healthcheck.start_period to be set',
    { hint: 'Set "start_period:", for example to 30s' },
  )
}

function testOf(
  test: readonly string[] | undefined,
  image: Image,
): HealthCheck['test'] | undefined {
  const [kind, ...rest] = test ?? ['NONE']
  if (kind === 'CMD') return { kind: 'exec', command: rest }
  if (kind === 'CMD-SHELL')
    return { kind: 'exec', command: [...(image.config.shell ?? DEFAULT_SHELL), rest.join(' ')] }
  return undefined
}

function probeTest(probe: Probe): HealthCheck['test'] | undefined {
  if (probe.tcp !== undefined) return { kind: 'tcp', port: probe.tcp }
  if (probe.unix !== undefined) return { kind: 'unix', path: probe.unix }
  if (probe.file !== undefined) return { kind: 'file', path: probe.file }
  if (probe.http === undefined) return undefined
  // `http://:8080/path`: the host is the container itself
  const [, host = '', port = '80', path = '/'] =
    /^http:\/\/([^:/]*)(?::(\d+))?(\/.*)?$/.exec(probe.http) ?? []
  return { kind: 'http', port: Number(port), path, ...(host === '' ? {} : { host }) }
}
