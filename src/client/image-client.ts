/** The daemon's API as functions: images and registries, one for each route of src/api/image-types.ts. */
import type { Readable } from 'node:stream'
import type {
  HistoryEntry,
  ImageDetail,
  ImageListEntry,
  LoadedImage,
  LoadFileAnswer,
  LoadFileRequest,
  LoginAnswer,
  LoginRequest,
  PullRequest,
  PushRequest,
  RemovedImagesResponse,
  RemoveImagesRequest,
  SystemPruneRequest,
  SystemPruneResponse,
  TagsRequest,
  TransferRequest,
  UsageDetails,
  UsageRow,
} from '../api/image-types.ts'
import type { BuildPruneRequest, BuildPruneResponse, BuildRequest } from '../api/build-types.ts'
import type { ProgressEvent } from '../api/types.ts'
import type { Transport } from './transport.ts'

type ProgressStream = AsyncGenerator<readonly ProgressEvent[], void>

export interface ImageClient {
  pull(stack: string, request: PullRequest, signal?: AbortSignal): ProgressStream
  push(stack: string, request: PushRequest, signal?: AbortSignal): ProgressStream
  build(stack: string, request: BuildRequest, signal?: AbortSignal): ProgressStream
  pruneBuilds(request: BuildPruneRequest): Promise<BuildPruneResponse>
  pullImages(request: TransferRequest, signal?: AbortSignal): ProgressStream
  pushImages(request: TransferRequest, signal?: AbortSignal): ProgressStream
  /** @throws {PERMISSION_DENIED} the registry does not accept them */
  login(request: LoginRequest): Promise<LoginAnswer>
  /** With those that nothing names. */
  imageList(): Promise<readonly ImageListEntry[]>
  image(name: string): Promise<ImageDetail>
  imageHistory(name: string): Promise<readonly HistoryEntry[]>
  /** The tags that a registry has of a repository, sorted. */
  remoteTags(request: TagsRequest): Promise<readonly string[]>
  tagImage(source: string, target: string): Promise<void>
  removeImages(request: RemoveImagesRequest): Promise<RemovedImagesResponse>
  pruneImages(options: {
    readonly all: boolean
    readonly filters?: readonly string[]
  }): Promise<RemovedImagesResponse>
  /** A tar archive. */
  saveImages(names: readonly string[]): Promise<Readable>
  loadImages(archive: Readable): Promise<readonly LoadedImage[]>
  /** From a file that the daemon opens by itself. @returns undefined if it doesn't see that file */
  loadImageFile(file: LoadFileRequest): Promise<readonly LoadedImage[] | undefined>
  importImage(
    archive: Readable,
    options: { readonly name?: string; readonly changes: readonly string[] },
  ): Promise<{ readonly id: string }>
  diskUsage(): Promise<readonly UsageRow[]>
  diskUsageDetails(): Promise<UsageDetails>
  pruneSystem(request: SystemPruneRequest): Promise<SystemPruneResponse>
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

type StoreCall = Exclude<
  keyof ImageClient,
  'pull' | 'push' | 'build' | 'pullImages' | 'pushImages' | 'login'
>

function withNames(path: string, query: Readonly<Record<string, string>>): string {
  return `${path}?${new URLSearchParams(query).toString()}`
}

/** The images of this host. */
function storeCalls({ get, post, transport }: Calls): Pick<ImageClient, StoreCall> {
  return {
    imageList: async () => (await get('/v1/images/list')) as readonly ImageListEntry[],
    image: async (name) => (await get('/v1/images/detail', { name })) as ImageDetail,
    imageHistory: async (name) =>
      (await get('/v1/images/history', { name })) as readonly HistoryEntry[],
    remoteTags: async (request) => (await post('/v1/images/tags', request)) as readonly string[],
    tagImage: async (source, target) => {
      await post('/v1/images/tag', { source, target })
    },
    removeImages: async (request) =>
      (await post('/v1/images/remove', request)) as RemovedImagesResponse,
    pruneImages: async ({ all, filters = [] }) =>
      (await post(
        withNames('/v1/images/prune', { all: String(all), filters: JSON.stringify(filters) }),
      )) as RemovedImagesResponse,
    saveImages: (names) =>
      transport.bytes({
        method: 'GET',
        path: withNames('/v1/images/archive', { names: JSON.stringify(names) }),
      }),
    loadImages: async (source) =>
      (await transport.json({
        method: 'POST',
        path: '/v1/images/archive',
        source,
      })) as readonly LoadedImage[],
    loadImageFile: async (file) => ((await post('/v1/images/load', file)) as LoadFileAnswer).loaded,
    importImage: async (source, { name, changes }) =>
      (await transport.json({
        method: 'POST',
        path: withNames('/v1/images/import', {
          changes: JSON.stringify(changes),
          ...(name === undefined ? {} : { name }),
        }),
        source,
      })) as { id: string },
    pruneBuilds: async (request) =>
      (await post('/v1/builder/prune', request)) as BuildPruneResponse,
    diskUsage: async () => (await get('/v1/system/df')) as readonly UsageRow[],
    diskUsageDetails: async () => (await get('/v1/system/df/details')) as UsageDetails,
    pruneSystem: async (request) =>
      (await post('/v1/system/prune', request)) as SystemPruneResponse,
  }
}

export function imageCalls(calls: Calls): ImageClient {
  const { post, progress } = calls
  const stackPath = (stack: string, action: string): string =>
    `/v1/stacks/${encodeURIComponent(stack)}/${action}`
  return {
    ...storeCalls(calls),
    pull: (stack, request, signal) => progress(stackPath(stack, 'pull'), request, signal),
    push: (stack, request, signal) => progress(stackPath(stack, 'push'), request, signal),
    build: (stack, request, signal) => progress(stackPath(stack, 'build'), request, signal),
    pullImages: (request, signal) => progress('/v1/images/pull', request, signal),
    pushImages: (request, signal) => progress('/v1/images/push', request, signal),
    login: (request) => post('/v1/registries/login', request) as Promise<LoginAnswer>,
  }
}
