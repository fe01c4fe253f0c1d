/** How stacks are, as functions: one for each route of src/api/status-types.ts. */
import type { StackStatus, SuspendRequest } from '../api/status-types.ts'
import type { Call } from './transport.ts'

export interface StatusClient {
  status(stack: string): Promise<StackStatus>
  /** One at once, and one after each change. */
  followStatus(stack: string, signal?: AbortSignal): AsyncGenerator<readonly StackStatus[], void>
  suspend(stack: string, request: SuspendRequest): Promise<void>
  resume(stack: string): Promise<void>
}

interface Calls {
  readonly get: (path: string) => Promise<unknown>
  readonly post: (path: string, body?: unknown) => Promise<unknown>
  readonly stream: (call: Call) => AsyncGenerator<readonly never[], void>
}

export function statusCalls({ get, post, stream }: Calls): StatusClient {
  const path = (stack: string, action: string): string =>
    `/v1/stacks/${encodeURIComponent(stack)}/${action}`
  return {
    status: async (stack) => (await get(path(stack, 'status'))) as StackStatus,
    followStatus: (stack, signal) =>
      stream({ method: 'GET', path: `${path(stack, 'status')}?follow=true`, signal }),
    suspend: async (stack, request) => {
      await post(path(stack, 'suspend'), request)
    },
    resume: async (stack) => {
      await post(path(stack, 'resume'), {})
    },
  }
}
