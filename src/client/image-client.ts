/** The daemon's API as functions: images and registries, one for each route of src/api/image-types.ts. */
import type { LoginRequest, PullRequest, PushRequest, TransferRequest } from '../api/image-types.ts'
import type { ProgressEvent } from '../api/types.ts'
import type { Transport } from './transport.ts'

type ProgressStream = AsyncGenerator<readonly ProgressEvent[], void>

export interface ImageClient {
  pull(stack: string, request: PullRequest, signal?: AbortSignal): ProgressStream
  push(stack: string, request: PushRequest, signal?: AbortSignal): ProgressStream
  pullImages(request: TransferRequest, signal?: AbortSignal): ProgressStream
  pushImages(request: TransferRequest, signal?: AbortSignal): ProgressStream
  /** @throws {PERMISSION_DENIED} the registry does not accept them */
  login(request: LoginRequest): Promise<void>
}

interface Calls {
  readonly get: (
    path: string,
    query?: Readonly<Record<string, string | number | boolean | undefined>>,
  ) => Promise<unknown>
  readonly post: (path: string, body?: unknown) => Promise<unknown>
  readonly progress: (path: string, body: unknown, signal?: AbortSignal) => ProgressStream
  readonly transport: Transport
}

export function imageCalls({ post, progress }: Calls): ImageClient {
  const stackPath = (stack: string, action: string): string =>
    `/v1/stacks/${encodeURIComponent(stack)}/${action}`
  return {
    pull: (stack, request, signal) => progress(stackPath(stack, 'pull'), request, signal),
    push: (stack, request, signal) => progress(stackPath(stack, 'push'), request, signal),
    pullImages: (request, signal) => progress('/v1/images/pull', request, signal),
    pushImages: (request, signal) => progress('/v1/images/push', request, signal),
    login: async (request) => {
      await post('/v1/registries/login', request)
    },
  }
}
