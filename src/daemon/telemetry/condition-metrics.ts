/** How stacks, sources and jobs are, for alerts: what `status`, `gitops ls` and `jobs ls` show. */
import type { GitSourceStatus } from '../../api/gitops-types.ts'
import type { JobRun } from '../../api/job-types.ts'
import type { StackStatus } from '../../api/status-types.ts'
import type { MetricFamily, Sample } from './exposition.ts'

export interface Conditions {
  readonly stacks: readonly StackStatus[]
  readonly sources: readonly GitSourceStatus[]
  /** Newest first. */
  readonly runs: readonly JobRun[]
}

/** Pure. */
export function conditionMetrics({ stacks, sources, runs }: Conditions): MetricFamily[] {
  return [
    ...stackMetrics(stacks),
    ...sourceMetrics(sources),
    gauge(
      'tsstack_job_last_success',
      '1 when the last run that has ended went well.',
      lastRuns(runs).map(({ stack, service, state }) => ({
        labels: { stack, service },
        value: Number(state === 'succeeded'),
      })),
    ),
  ]
}

function gauge(name: string, help: string, samples: readonly Sample[]): MetricFamily {
  return { name, help, type: 'gauge', samples }
}

function stackMetrics(stacks: readonly StackStatus[]): MetricFamily[] {
  return [
    gauge(
      'tsstack_stack_condition',
      '1 for the conditions that hold.',
      stacks.flatMap(({ stack, conditions }) =>
        conditions.map(({ type, status }) => ({
          labels: { stack, condition: type },
          value: Number(status === 'True'),
        })),
      ),
    ),
    gauge(
      'tsstack_service_ready',
      '1 for services that are ready.',
      stacks.flatMap(({ stack, services }) =>
        services.map(({ name, conditions }) => ({
          labels: { stack, service: name },
          value: Number(
            conditions.some(({ type, status }) => type === 'Ready' && status === 'True'),
          ),
        })),
      ),
    ),
    gauge(
      'tsstack_stack_revision',
      'Number of the revision that is wanted.',
      stacks.flatMap(({ stack, revision }) =>
        revision === undefined ? [] : [{ labels: { stack }, value: revision }],
      ),
    ),
    gauge(
      'tsstack_stack_drift',
      'Differences that are not repaired.',
      stacks.map(({ stack, drift }) => ({ labels: { stack }, value: drift.length })),
    ),
  ]
}

function sourceMetrics(sources: readonly GitSourceStatus[]): MetricFamily[] {
  return [
    gauge(
      'tsstack_gitops_ready',
      '1 for sources whose newest commit is applied and healthy.',
      sources.map(({ name, stack, ready }) => ({
        labels: { source: name, stack },
        value: Number(ready === 'True'),
      })),
    ),
    gauge(
      'tsstack_gitops_suspended',
      '1 for sources that are not followed at present.',
      sources.map(({ name, stack, suspended }) => ({
        labels: { source: name, stack },
        value: Number(suspended),
      })),
    ),
  ]
}

/** Of each job the newest that has ended. */
function lastRuns(runs: readonly JobRun[]): JobRun[] {
  const last = new Map<string, JobRun>()
  for (const run of runs) {
    const key = `${run.stack}/${run.service}`
    if ((run.state === 'succeeded' || run.state === 'failed') && !last.has(key)) last.set(key, run)
  }
  return [...last.values()]
}
