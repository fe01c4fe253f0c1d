import type { CgroupWarning } from '../engine/cgroup/cgroup.ts'

/** What the host could not limit, for the user; undefined when it could. */
export function describeWarnings(
  container: string,
  warnings: readonly CgroupWarning[],
): string | undefined {
  if (warnings.length === 0) return undefined
  const list = warnings.map(({ limit, reason }) => `${limit}: ${reason}`).join('; ')
  return `Container ${container} runs without a limit that was asked for: ${list}`
}
