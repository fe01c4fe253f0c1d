/** The daemon's API as functions, one for each route of src/api/types.ts. */
import type { Readable } from 'node:stream'
import type {
  ContainerDetail,
  ContainerSummary,
  DoctorCheck,
  DownRequest,
  EngineEvent,
  ExecRequest,
  ImageSummary,
  LifecycleRequest,
  LogEnd,
  LogLine,
  LogsQuery,
  NetworkDetail,
  NetworkRequest,
  NetworkSummary,
  PlanResponse,
  ProgressEvent,
  PruneResult,
  RunRequest,
  StackSummary,
  StatsSample,
  TopResponse,
  UpRequest,
  Version,
  VolumeDetail,
  VolumeRequest,
  VolumeSummary,
} from '../api/types.ts'
import { fileCalls, type FileClient } from './file-client.ts'
import { gitopsCalls, type GitopsClient } from './gitops-client.ts'
import { imageCalls, type ImageClient } from './image-client.ts'
import { jobCalls, type JobClient } from './job-client.ts'
import { resumeStream } from './resume-stream.ts'
import { revisionCalls, type RevisionClient } from './revision-client.ts'
import { statusCalls, type StatusClient } from './status-client.ts'
import { createSession } from './session.ts'
import type { Session } from './session.ts'
import { createTransport } from './transport.ts'
import type { Call, Transport } from './transport.ts'
import { watchCalls, type WatchClient } from './watch-client.ts'

type ResourceCall =
  | ('volumes' | 'volume' | 'createVolume' | 'removeVolume' | 'pruneVolumes')
  | ('exportVolume' | 'importVolume')
  | ('networks' | 'network' | 'createNetwork' | 'removeNetwork' | 'pruneNetworks')

type Query = Readonly<Record<string, string | number | boolean | undefined>>

/**
 * Streams give items in batches, in the order in which they happened; leaving the loop closes the connection. All
 * functions throw what the daemon answered as TsstackError, UNAVAILABLE when it can't be reached, CANCELLED when the
 * signal was raised.
 */
export interface Client
  extends
    FileClient,
    ImageClient,
    JobClient,
    RevisionClient,
    StatusClient,
    WatchClient,
    GitopsClient {
  version(): Promise<Version>
  doctor(): Promise<readonly DoctorCheck[]>
  stacks(): Promise<readonly StackSummary[]>
  plan(stack: string, request: UpRequest): Promise<PlanResponse>
  up(
    stack: string,
    request: UpRequest,
    signal?: AbortSignal,
  ): AsyncGenerator<readonly ProgressEvent[], void>
  down(
    stack: string,
    request: DownRequest,
    signal?: AbortSignal,
  ): AsyncGenerator<readonly ProgressEvent[], void>
  lifecycle(
    stack: string,
    request: LifecycleRequest,
    signal?: AbortSignal,
  ): AsyncGenerator<readonly ProgressEvent[], void>
  logs(
    stack: string,
    query: LogsQuery,
    signal?: AbortSignal,
  ): AsyncGenerator<readonly LogLine[], void>
  run(stack: string, request: RunRequest): Promise<{ readonly id: string }>
  containers(query: {
    readonly stack?: string
    readonly all?: boolean
  }): Promise<readonly ContainerSummary[]>
  container(id: string): Promise<ContainerDetail>
  /** With `force` a running one too; with `volumes` its anonymous volumes. */
  removeContainer(
    id: string,
    options?: { readonly force?: boolean; readonly volumes?: boolean },
  ): Promise<void>
  startContainer(id: string): Promise<void>
  waitContainer(id: string, signal?: AbortSignal): Promise<{ readonly exitCode: number }>
  killContainer(id: string, signal: string): Promise<void>
  top(id: string): Promise<TopResponse>
  exec(id: string, request: ExecRequest): Promise<Session>
  attach(id: string): Promise<Session>
  stats(
    query: { readonly stack?: string; readonly stream: boolean },
    signal?: AbortSignal,
  ): AsyncGenerator<readonly StatsSample[], void>
  events(
    query: { readonly stack?: string; readonly since?: string; readonly follow: boolean },
    signal?: AbortSignal,
  ): AsyncGenerator<readonly EngineEvent[], void>
  images(): Promise<readonly ImageSummary[]>
  volumes(stack?: string, options?: { readonly sizes?: boolean }): Promise<readonly VolumeSummary[]>
  volume(name: string): Promise<VolumeDetail>
  createVolume(request: VolumeRequest): Promise<void>
  removeVolume(name: string): Promise<void>
  /** A tar archive. */
  exportVolume(name: string): Promise<Readable>
  importVolume(name: string, archive: Readable): Promise<void>
  pruneVolumes(options: { readonly all: boolean }): Promise<PruneResult>
  networks(stack?: string): Promise<readonly NetworkSummary[]>
  network(name: string): Promise<NetworkDetail>
  createNetwork(request: NetworkRequest): Promise<void>
  removeNetwork(name: string): Promise<void>
  pruneNetworks(): Promise<PruneResult>
}

function withQuery(path: string, query: Query): string {
  const parameters = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== false) parameters.set(key, String(value))
  }
  const text = parameters.toString()
  return text === '' ? path : `${path}?${text}`
}

function stackPath(stack: string, action: string): string {
  return `/v1/stacks/${encodeURIComponent(stack)}/${action}`
}

function containerPath(id: string, action?: string): string {
  const path = `/v1/containers/${encodeURIComponent(id)}`
  return action === undefined ? path : `${path}/${action}`
}

interface ClientOptions {
  readonly socket: string
  /** Said once when the daemon is of another release. */
  readonly onVersionMismatch?: (daemonVersion: string) => void
}

interface Calls {
  readonly get: (path: string, query?: Query, signal?: AbortSignal) => Promise<unknown>
  readonly post: (path: string, body?: unknown, signal?: AbortSignal) => Promise<unknown>
  readonly remove: (path: string) => Promise<unknown>
  readonly download: (path: string) => Promise<Readable>
  readonly upload: (path: string, source: Readable) => Promise<unknown>
  /** Of whatever the caller says it is. */
  readonly stream: (call: Call) => AsyncGenerator<readonly never[], void>
  readonly session: (call: Call) => Promise<Session>
  readonly transport: Transport
}

function createCalls(options: ClientOptions): Calls {
  let told = false
  const transport = createTransport({
    socket: options.socket,
    onVersionMismatch: (version) => {
      if (!told) options.onVersionMismatch?.(version)
      told = true
    },
  })
  return {
    transport,
    get: (path, query = {}, signal) =>
      transport.json({ method: 'GET', path: withQuery(path, query), signal }),
    post: (path, body, signal) => transport.json({ method: 'POST', path, body, signal }),
    remove: (path) => transport.json({ method: 'DELETE', path }),
    download: (path) => transport.bytes({ method: 'GET', path }),
    upload: (path, source) => transport.json({ method: 'POST', path, source }),
    stream: (call) => transport.stream(call) as AsyncGenerator<readonly never[], void>,
    session: async (call) => {
      const { socket, head } = await transport.upgrade(call)
      return createSession(socket, head)
    },
  }
}

/** Makes no connection by itself. The daemon's answers are taken at their word: it is the same program. */
export function createClient(options: ClientOptions): Client {
  const calls = createCalls(options)
  const { get, post, remove, stream, session, transport } = calls
  const progress = (
    path: string,
    body: unknown,
    signal?: AbortSignal,
  ): AsyncGenerator<readonly ProgressEvent[], void> =>
    stream({ method: 'POST', path, body, signal })

  return {
    version: async () => (await get('/v1/version')) as Version,
    doctor: async () => (await get('/v1/doctor')) as readonly DoctorCheck[],
    stacks: async () => (await get('/v1/stacks')) as readonly StackSummary[],
    plan: async (stack, request) => (await post(stackPath(stack, 'plan'), request)) as PlanResponse,
    up: (stack, request, signal) => progress(stackPath(stack, 'up'), request, signal),
    down: (stack, request, signal) => progress(stackPath(stack, 'down'), request, signal),
    lifecycle: (stack, request, signal) => progress(stackPath(stack, 'lifecycle'), request, signal),
    ...followedCalls(calls),
    run: async (stack, request) => (await post(stackPath(stack, 'run'), request)) as { id: string },
    containers: async (query) =>
      (await get('/v1/containers', query)) as readonly ContainerSummary[],
    container: async (id) => (await get(containerPath(id))) as ContainerDetail,
    removeContainer: async (id, options = {}) => {
      await remove(withQuery(containerPath(id), { ...options }))
    },
    startContainer: async (id) => {
      await post(containerPath(id, 'start'))
    },
    waitContainer: async (id, signal) =>
      (await post(containerPath(id, 'wait'), undefined, signal)) as { exitCode: number },
    killContainer: async (id, signal) => {
      await post(withQuery(containerPath(id, 'kill'), { signal }))
    },
    top: async (id) => (await get(containerPath(id, 'top'))) as TopResponse,
    exec: (id, request) =>
      session({
        method: 'POST',
        path: containerPath(id, 'exec'),
        headers: { 'x-tsstack-exec': Buffer.from(JSON.stringify(request)).toString('base64') },
      }),
    attach: (id) => session({ method: 'POST', path: containerPath(id, 'attach') }),
    stats: (query, signal) =>
      stream({ method: 'GET', path: withQuery('/v1/stats', query), signal }),
    images: async () => (await get('/v1/images')) as readonly ImageSummary[],
    ...fileCalls({ get, transport }),
    ...imageCalls({ get, post, progress, transport }),
    ...revisionCalls({ get, progress }),
    ...jobCalls({ get, post }),
    ...statusCalls({ get, post, stream }),
    ...resourceCalls(calls),
    ...gitopsCalls(calls),
    ...watchCalls(calls),
  }
}

/** Without the end, which is nothing to show: where it comes nothing else follows. */
async function* untilEnd(
  batches: AsyncGenerator<readonly (LogLine | LogEnd)[], void>,
): AsyncGenerator<readonly LogLine[], void> {
  for await (const batch of batches) {
    const lines = batch.filter((item) => item.type !== 'end')
    if (lines.length > 0) yield lines
    if (lines.length < batch.length) return
  }
}

/** What goes on with the next daemon when it is followed. */
function followedCalls({ stream }: Pick<Calls, 'stream'>): Pick<Client, 'logs' | 'events'> {
  return {
    logs: (stack, query, signal) => {
      const open = (since?: string): AsyncGenerator<readonly (LogLine | LogEnd)[], void> => {
        const { tail, ...rest } = query
        const asked = since === undefined ? query : { ...rest, since }
        return stream({
          method: 'GET',
          path: withQuery(stackPath(stack, 'logs'), { ...asked }),
          signal,
        })
      }
      if (query.follow !== true) return untilEnd(open())
      return untilEnd(resumeStream({ open, sourceOf: ({ container }) => container, signal }))
    },
    events: (query, signal) => {
      const open = (since?: string): AsyncGenerator<readonly EngineEvent[], void> => {
        const asked = since === undefined ? query : { ...query, since }
        return stream({ method: 'GET', path: withQuery('/v1/events', asked), signal })
      }
      if (!query.follow) return open()
      return resumeStream({ open, sourceOf: () => '', signal })
    },
  }
}

/** Volumes and networks. */
function resourceCalls({
  get,
  post,
  remove,
  download,
  upload,
}: Pick<Calls, 'get' | 'post' | 'remove' | 'download' | 'upload'>): Pick<Client, ResourceCall> {
  const volume = (name: string): string => `/v1/volumes/${encodeURIComponent(name)}`
  const network = (name: string): string => `/v1/networks/${encodeURIComponent(name)}`
  return {
    volumes: async (stack, { sizes } = {}) =>
      (await get('/v1/volumes', { stack, sizes })) as readonly VolumeSummary[],
    volume: async (name) => (await get(volume(name))) as VolumeDetail,
    createVolume: async (request) => {
      await post('/v1/volumes', request)
    },
    removeVolume: async (name) => {
      await remove(volume(name))
    },
    exportVolume: (name) => download(`${volume(name)}/archive`),
    importVolume: async (name, archive) => {
      await upload(`${volume(name)}/archive`, archive)
    },
    pruneVolumes: async (options) =>
      (await post(withQuery('/v1/volumes/prune', options))) as PruneResult,
    networks: async (stack) => (await get('/v1/networks', { stack })) as readonly NetworkSummary[],
    network: async (name) => (await get(network(name))) as NetworkDetail,
    createNetwork: async (request) => {
      await post('/v1/networks', request)
    },
    removeNetwork: async (name) => {
      await remove(network(name))
    },
    pruneNetworks: async () => (await post('/v1/networks/prune')) as PruneResult,
  }
}
