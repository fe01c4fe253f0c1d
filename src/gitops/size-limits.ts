/** How large a stack from git may become: a number is quickly written, and planning, state and kernel have to bear it. Pure. */
import { TsstackError } from '../errors.ts'
import type { Finding } from '../spec/finding.ts'
import type { Stack } from '../spec/stack.ts'

const MAX_CONTAINERS = 5000
/** As many as there are of one protocol. */
const MAX_PORTS = 65_536
const MAX_MEBIBYTES = 32

export function sizeFindings({ services }: Stack): Finding[] {
  const all = Object.values(services)
  const containers = all.reduce(
    (sum, { scale, deploy }) => sum + (scale ?? deploy?.replicas ?? 1),
    0,
  )
  const ports = all.reduce((sum, { ports = [] }) => sum + ports.length, 0)
  return [
    ...(containers <= MAX_CONTAINERS ? [] : [tooMany(containers, 'containers', MAX_CONTAINERS)]),
    ...(ports <= MAX_PORTS ? [] : [tooMany(ports, 'ports', MAX_PORTS)]),
  ]
}

function tooMany(count: number, what: string, limit: number): Finding {
  return {
    path: ['services'],
    message: `the services have ${String(count)} ${what} together, which is too much for a source`,
    expected: `at most ${String(limit)}`,
    suggestion: 'look at scale, replicas and ranges of ports',
  }
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
