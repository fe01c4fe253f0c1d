/** The runs of scheduled services that are remembered: what began when, and how it ended. */
import { randomBytes } from 'node:crypto'
import type { JobRun } from '../../api/job-types.ts'
import type { Collection, StateStore } from '../../state/state-store.ts'

export interface JobRuns {
  all(): JobRun[]
  /** Oldest first. */
  of(stack: string, service?: string): JobRun[]
  /** Those whose container runs, as far as is known. */
  running(): JobRun[]
  begin(run: Omit<JobRun, 'id' | 'startedAt'>): JobRun
  change(run: JobRun, change: Partial<JobRun>): JobRun
  forget(run: JobRun): void
}

export function openJobRuns(state: StateStore): JobRuns {
  const runs: Collection<JobRun> = state.collection('job-run', { ofFacts: true })
  return {
    all: () => runs.values(),
    of: (stack, service) =>
      runs
        .values()
        .filter((run) => run.stack === stack && (service === undefined || run.service === service))
        .sort((a, b) => (a.startedAt < b.startedAt ? -1 : 1)),
    running: () => runs.values().filter(({ state: is }) => is === 'running'),
    begin(run) {
      const startedAt = new Date().toISOString()
      const begun = { ...run, id: randomBytes(6).toString('hex'), startedAt }
      runs.put(begun.id, begun)
      return begun
    },
    change(run, change) {
      const changed = { ...run, ...change }
      runs.put(run.id, changed)
      return changed
    },
    forget(run) {
      runs.delete(run.id)
    },
  }
}
