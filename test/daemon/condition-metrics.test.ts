import { expect, test } from 'vitest'
import type { GitSourceStatus } from '../../src/api/gitops-types.ts'
import type { JobRun } from '../../src/api/job-types.ts'
import { conditionMetrics } from '../../src/daemon/telemetry/condition-metrics.ts'

const run = (state: JobRun['state']): JobRun => ({
  ...{ id: state, stack: 'shop', service: 'backup', trigger: 'schedule', startedAt: '' },
  state,
})

test('sources are ready or not; of a job the last run that has ended counts', () => {
  const source = (name: string, ready: string): GitSourceStatus =>
    ({ name, stack: 'shop', ready, suspended: false }) as GitSourceStatus
  const families = conditionMetrics({
    stacks: [],
    sources: [source('good', 'True'), source('new', 'Unknown'), source('bad', 'False')],
    runs: [run('running'), run('skipped'), run('failed'), run('succeeded')],
  })
  const of = (name: string): unknown =>
    families.find((family) => family.name === name)?.samples.map(({ value }) => value)
  expect(of('tsstack_gitops_ready')).toEqual([1, 0, 0])
  expect(of('tsstack_job_last_success')).toEqual([0])
})
