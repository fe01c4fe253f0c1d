import { readFileSync } from 'node:fs'
import { TsstackError } from '../errors.ts'

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
const NOFILE = 7

let ownNofile: number | undefined

/** The hard limit of open files that this process has and may hand on. */
function hardNofile(): number {
  ownNofile ??= Number(
    /Max open files\s+\d+\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1024,
  )
  return ownNofile
}

/**
 * `ulimits` as the arguments of prlimit(2). Node raises its own soft limit of open files; a container gets the usual
 * 1024 back unless it asks for more, since some programs close every possible descriptor.
 * @throws {INVALID_ARGUMENT} for an unknown name
 */
export function rlimitsOf(
  ulimits: Readonly<Record<string, { readonly soft: number; readonly hard: number }>>,
): { resource: number; soft: number; hard: number }[] {
  const wanted = Object.entries(ulimits).map(([name, { soft, hard }]) => {
    const resource = RESOURCES[name]
    if (resource !== undefined) return { resource, soft, hard }
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot set ulimit "${name}": it is none of ${Object.keys(RESOURCES).join(', ')}`,
    )
  })
  if (wanted.some(({ resource }) => resource === NOFILE)) return wanted
  return [{ resource: NOFILE, soft: Math.min(1024, hardNofile()), hard: hardNofile() }, ...wanted]
}
