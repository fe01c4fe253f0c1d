/** Names of cgroups: `<stack>/<container id>` below our own directory. */
import { TsstackError } from '../../errors.ts'

/** Below it is all that is ours in a hierarchy. */
export const PARENT = 'tsstack'
const SEGMENT = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/

/**
 * Holds a name against path traversal and against the kernel's own file names in the directory.
 * @returns the name
 * @throws {INVALID_ARGUMENT}
 */
export function checkCgroupName(name: string): string {
  const segments = name.split('/')
  const plain = segments.every((segment) => SEGMENT.test(segment))
  if (plain && segments.length >= 2 && segments.length <= 4) return name
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot name a cgroup "${name.slice(0, 200)}": two to four plain path segments are needed`,
  )
}
