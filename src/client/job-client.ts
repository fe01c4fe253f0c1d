/** Scheduled services, as functions: one for each route of src/api/job-types.ts. */
import type { JobRun, JobSummary } from '../api/job-types.ts'

export interface JobClient {
  jobs(stack: string): Promise<readonly JobSummary[]>
  /** Newest first. */
  jobHistory(stack: string, service?: string): Promise<readonly JobRun[]>
  /** Starts a run now. @returns it, running or ended already */
  runJob(stack: string, service: string): Promise<JobRun>
}

interface Calls {
  readonly get: (
    path: string,
    query?: Readonly<Record<string, string | undefined>>,
  ) => Promise<unknown>
  readonly post: (path: string) => Promise<unknown>
}

export function jobCalls({ get, post }: Calls): JobClient {
  const path = (stack: string): string => `/v1/stacks/${encodeURIComponent(stack)}/jobs`
  return {
    jobs: async (stack) => (await get(path(stack))) as readonly JobSummary[],
    jobHistory: async (stack, service) =>
      (await get(`${path(stack)}/history`, { service })) as readonly JobRun[],
    runJob: async (stack, service) =>
      (await post(`${path(stack)}/${encodeURIComponent(service)}/run`)) as JobRun,
  }
}
