import { readFileSync } from 'node:fs'
import { TsstackError } from '../errors.ts'
import type { Rlimit } from './process-spec.ts'

/** Names of `ulimits` by resource number (include/uapi/asm-generic/resource.h). */
const RESOURCES: Readonly<Record<string, number>> = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
  rttime: 15,
}
/** How /proc/self/limits calls them (fs/proc/base.c). */
const LABELS: Readonly<Record<string, string>> = {
  cpu: 'cpu time',
  fsize: 'file size',
  data: 'data size',
  stack: 'stack size',
  core: 'core file size',
  rss: 'resident set',
  nproc: 'processes',
  nofile: 'open files',
  memlock: 'locked memory',
  as: 'address space',
  locks: 'file locks',
  sigpending: 'pending signals',
  msgqueue: 'msgqueue size',
  nice: 'nice priority',
  rtprio: 'realtime priority',
  rttime: 'realtime timeout',
}

let ownLimits: string | undefined

/** The hard limit that this process has and may hand on; Infinity: none. */
function ownHardLimit(name: string): number {
  ownLimits ??= readFileSync('/proc/self/limits', 'utf8')
  const label = LABELS[name] ?? name
  const [, hard = 'unlimited'] =
    new RegExp(`^Max ${label}\\s+\\S+\\s+(\\S+)`, 'm').exec(ownLimits) ?? []
  return hard === 'unlimited' ? Infinity : Number(hard)
}

/**
 * `ulimits` as the arguments of prlimit(2). Node raises its own soft limit of open files; a container gets the usual
 * 1024 back unless it asks for more, since some programs close every possible descriptor.
 * @throws {INVALID_ARGUMENT} for an unknown name
 */
export function rlimitsOf(
  ulimits: Readonly<Record<string, { readonly soft: number; readonly hard: number }>>,
): Rlimit[] {
  const hard = ownHardLimit('nofile')
  const usual = ulimits['nofile'] ?? { soft: Math.min(1024, hard), hard }
  return Object.entries({ ...ulimits, nofile: usual }).map(([name, limit]) => {
    const resource = RESOURCES[name]
    const isRaised = (limit.hard < 0 ? Infinity : limit.hard) > ownHardLimit(name)
    if (resource !== undefined) return { name, resource, ...limit, isRaised }
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot set ulimit "${name}": it is none of ${Object.keys(RESOURCES).join(', ')}`,
    )
  })
}
