/** The daemon's API as functions: what `watch` needs, one for each route of src/api/watch-types.ts. */
import type { SyncRequest, SyncResponse, WatchOpened } from '../api/watch-types.ts'
import type { Call } from './transport.ts'

export interface WatchClient {
  /** Stays open until the signal is raised or the daemon leaves; its one item says that the daemon is ready. */
  openWatch(stack: string, signal: AbortSignal): AsyncGenerator<readonly WatchOpened[], void>
  syncFiles(stack: string, request: SyncRequest): Promise<SyncResponse>
}

interface Calls {
  readonly post: (path: string, body?: unknown) => Promise<unknown>
  readonly stream: (call: Call) => AsyncGenerator<readonly never[], void>
}

export function watchCalls({ post, stream }: Calls): WatchClient {
  const path = (stack: string, action: string): string =>
    `/v1/stacks/${encodeURIComponent(stack)}/${action}`
  return {
    openWatch: (stack, signal) => stream({ method: 'POST', path: path(stack, 'watch'), signal }),
    syncFiles: async (stack, request) => (await post(path(stack, 'sync'), request)) as SyncResponse,
  }
}
