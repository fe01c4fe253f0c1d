/** How large a stack from git may become: a number is quickly written, and planning, state and kernel have to bear it. Pure. */
import { TsstackError } from '../errors.ts'
import type { Finding } from '../spec/finding.ts'
import { parseDurationNs } from '../spec/duration.ts'
import { parseRange } from '../spec/ports.ts'
import type { Service, Stack } from '../spec/stack.ts'

const MAX_CONTAINERS = 5000
/** Each is a network of the host, with a subnet of pools that all stacks share. */
const MAX_NETWORKS = 64
/** Each is held by a descriptor of the daemon, which has some thousands for all stacks. */
const MAX_PORTS = 1000
const MAX_MEBIBYTES = 16
/** Of health checks: each look starts a process, or opens a connection. */
const MIN_INTERVAL_MS = 100

/** @param allowedPorts - such as `8000-9000`: those do not count */
export function sizeFindings(
  { services, networks }: Stack,
  allowedPorts: readonly string[],
): Finding[] {
  const all = Object.values(services)
  const containers = all.reduce(
    (sum, { scale, deploy }) => sum + (scale ?? deploy?.replicas ?? 1),
    0,
  )
  const allowed = allowedPorts.flatMap((text) => parseRange(text) ?? [])
  const isAllowed = (port: number): boolean =>
    allowed.some(({ first, last }) => first <= port && port <= last)
  const ports = all
    .flatMap(({ ports = [] }) => ports)
    .filter(({ published = '' }) => !isAllowed(parseRange(published)?.first ?? 0)).length
  const hint =
    'look at scale, replicas and ranges of ports; --allow-ports FIRST-LAST allows a range'
  const counts = [
    ['services', 'containers', containers, MAX_CONTAINERS],
    ['services', 'published ports', ports, MAX_PORTS],
    ['networks', 'networks', Object.keys(networks).length, MAX_NETWORKS],
  ] as const
  return [
    ...counts
      .filter(([, , count, limit]) => count > limit)
      .map(([at, what, count, limit]) => ({
        path: [at],
        message: `it has ${String(count)} ${what}, which is too much for a source`,
        expected: `at most ${String(limit)}`,
        suggestion: hint,
      })),
    ...Object.entries(services).flatMap(([name, service]) => intervalFindings(name, service)),
  ]
}

function intervalFindings(name: string, { healthcheck }: Service): Finding[] {
  return (['interval', 'start_interval'] as const).flatMap((key): Finding[] => {
    const text = healthcheck?.[key]
    const nanos = text === undefined ? 0 : parseDurationNs(text)
    // Zero is the default.
    if (nanos === 0 || nanos >= MIN_INTERVAL_MS * 1e6) return []
    const shortest = `${String(MIN_INTERVAL_MS)}ms`
    return [
      {
        path: ['services', name, 'healthcheck', key],
        message: `asks for a look at its health every ${text ?? ''}, which is too often for a source`,
        expected: `${shortest} or more`,
        suggestion: `write ${key}: ${shortest}`,
      },
    ]
  })
}

/** @param text - the stack as it is kept @throws {PERMISSION_DENIED} */
export function refuseLarge(text: string): void {
  const mebibytes = Math.ceil(text.length / 2 ** 20)
  if (mebibytes <= MAX_MEBIBYTES) return
  throw new TsstackError(
    'PERMISSION_DENIED',
    `Cannot keep it: with its environment, configs and secrets it has ${String(mebibytes)} MiB`,
    { hint: `At most ${String(MAX_MEBIBYTES)}; put large files into an image or a volume` },
  )
}
