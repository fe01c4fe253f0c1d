/** What the daemon remembers of a stack, as functions: one for each route of src/api/revision-types.ts. */
import type { Revision, RevisionDiff, RollbackRequest } from '../api/revision-types.ts'
import type { ProgressEvent } from '../api/types.ts'

type ProgressStream = AsyncGenerator<readonly ProgressEvent[], void>

export interface RevisionClient {
  /** Newest first. */
  revisions(stack: string): Promise<readonly Revision[]>
  /** Without `to` the newest one; without `from` the one before it. */
  revisionDiff(
    stack: string,
    range: { readonly from?: number; readonly to?: number },
  ): Promise<RevisionDiff>
  rollback(stack: string, request: RollbackRequest, signal?: AbortSignal): ProgressStream
}

interface Calls {
  readonly get: (
    path: string,
    query?: Readonly<Record<string, number | undefined>>,
  ) => Promise<unknown>
  readonly progress: (path: string, body: unknown, signal?: AbortSignal) => ProgressStream
}

export function revisionCalls({ get, progress }: Calls): RevisionClient {
  const path = (stack: string, action: string): string =>
    `/v1/stacks/${encodeURIComponent(stack)}/${action}`
  return {
    revisions: async (stack) => (await get(path(stack, 'revisions'))) as readonly Revision[],
    revisionDiff: async (stack, range) =>
      (await get(path(stack, 'revisions/diff'), { ...range })) as RevisionDiff,
    rollback: (stack, request, signal) => progress(path(stack, 'rollback'), request, signal),
  }
}
