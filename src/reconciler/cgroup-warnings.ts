import { readFileSync } from 'node:fs'
import type { CgroupWarning } from '../engine/cgroup/cgroup.ts'
import type { ContainerConfig } from '../engine/container-config.ts'
import type { LiveContainer } from './context.ts'

/** What a container that has started runs without. */
export function startWarnings(
  { oomScoreAdj }: Pick<ContainerConfig, 'oomScoreAdj'>,
  { cgroup, process }: Pick<LiveContainer, 'cgroup' | 'process'>,
): readonly CgroupWarning[] {
  const actual = oomScoreAdj === undefined ? undefined : oomScoreAdjOf(process.pid)
  if (actual === undefined || actual === oomScoreAdj) return cgroup.warnings
  const reason = 'the daemon lacks CAP_SYS_RESOURCE, which a lower value than its own takes'
  return [...cgroup.warnings, { limit: 'oomScoreAdj', reason }]
}

/** undefined: it has ended. */
function oomScoreAdjOf(pid: number): number | undefined {
  try {
    return Number(readFileSync(`/proc/${String(pid)}/oom_score_adj`, 'utf8'))
  } catch {
    return undefined
  }
}

/** What the host could not limit, for the user; undefined when it could. */
export function describeWarnings(
  container: string,
  warnings: readonly CgroupWarning[],
): string | undefined {
  if (warnings.length === 0) return undefined
  const list = warnings.map(({ limit, reason }) => `${limit}: ${reason}`).join('; ')
  return `Container ${container} runs without a limit that was asked for: ${list}`
}
