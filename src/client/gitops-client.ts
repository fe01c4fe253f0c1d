/** The daemon's API as functions: GitOps, one for each route of src/api/gitops-types.ts. */
import type { GitSource, GitSourceStatus, PendingChange } from '../api/gitops-types.ts'

export interface GitopsClient {
  gitSources(): Promise<readonly GitSourceStatus[]>
  gitSource(name: string): Promise<GitSourceStatus>
  addGitSource(source: GitSource): Promise<GitSourceStatus>
  removeGitSource(name: string): Promise<void>
  /** Answers when the pass has ended. */
  syncGitSource(name: string, options?: { readonly force?: boolean }): Promise<GitSourceStatus>
  suspendGitSource(name: string): Promise<GitSourceStatus>
  resumeGitSource(name: string): Promise<GitSourceStatus>
  approveGitSource(name: string, digest?: string): Promise<GitSourceStatus>
  /** What waits; with an empty text, nothing does. */
  pendingChange(name: string): Promise<Partial<PendingChange> & Pick<PendingChange, 'text'>>
}

interface Calls {
  readonly get: (path: string) => Promise<unknown>
  readonly post: (path: string, body?: unknown) => Promise<unknown>
  readonly remove: (path: string) => Promise<unknown>
}

export function gitopsCalls({ get, post, remove }: Calls): GitopsClient {
  const at = (name: string, action?: string): string =>
    `/v1/gitops/${encodeURIComponent(name)}${action === undefined ? '' : `/${action}`}`
  const act = async (name: string, action: string, body?: unknown): Promise<GitSourceStatus> =>
    (await post(at(name, action), body)) as GitSourceStatus
  return {
    gitSources: async () => (await get('/v1/gitops')) as readonly GitSourceStatus[],
    gitSource: async (name) => (await get(at(name))) as GitSourceStatus,
    addGitSource: async (source) => (await post('/v1/gitops', source)) as GitSourceStatus,
    removeGitSource: async (name) => {
      await remove(at(name))
    },
    syncGitSource: (name, options = {}) => act(name, 'sync', options),
    suspendGitSource: (name) => act(name, 'suspend'),
    resumeGitSource: (name) => act(name, 'resume'),
    approveGitSource: (name, digest) =>
      act(name, 'approve', digest === undefined ? {} : { digest }),
    pendingChange: async (name) =>
      (await get(at(name, 'diff'))) as Partial<PendingChange> & Pick<PendingChange, 'text'>,
  }
}
