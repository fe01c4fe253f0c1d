/** What clients may send. The stack inside was validated by the client's loader; here its shape and size are. */
import { z } from 'zod'
import type { RollbackRequest } from '../api/revision-types.ts'
import type { SuspendRequest } from '../api/status-types.ts'
import type {
  DownRequest,
  ExecRequest,
  LifecycleRequest,
  LogsQuery,
  NetworkRequest,
  Resize,
  RunRequest,
  UpRequest,
  VolumeRequest,
} from '../api/types.ts'

const MAX_TEXT = 1 << 20
const text = z.string().max(MAX_TEXT)
const stackName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]*$/)
  .max(63)
const texts = z.array(text).max(10_000)
const dictionary = z.record(text, text)
const flag = z.union([z.stringbool(), z.boolean()])
const seconds = z
  .number()
  .min(0)
  .max(86_400 * 365)

/** Trees of plain values; attribute by attribute they are read by whoever uses them. */
const resources = z.record(z.string().max(255), z.record(z.string(), z.unknown()))
const stack = z.looseObject({
  name: stackName,
  services: resources,
  networks: resources,
  volumes: resources,
  configs: resources,
  secrets: resources,
})

/** Of a stack and what it came from. */
export const source = {
  stack,
  files: texts,
  workingDir: text.startsWith('/'),
  contents: z.object({ configs: z.record(text, z.base64()), secrets: z.record(text, z.base64()) }),
  disabledServices: texts.exactOptional(),
  origin: z
    .strictObject({
      kind: z.literal('git'),
      repository: text,
      commit: z.string().regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/),
      ref: text.exactOptional(),
      path: text.exactOptional(),
    })
    .exactOptional(),
}

/** Of pushes. */
export const compression = z.enum(['gzip', 'zstd', 'none'])

/** By registry. */
export const credentials = z.record(
  z.string().max(300),
  z.union([
    z.strictObject({ username: text, password: text }),
    z.strictObject({ identityToken: text }),
  ]),
)

const pullPolicy = z.enum(['always', 'missing', 'never'])

/** A reason is shown on one line. */
const byHand = {
  forSeconds: seconds.exactOptional(),
  reason: z
    .string()
    .max(200)
    .regex(/^[^\p{Cc}]*$/u, 'has to be one line')
    .exactOptional(),
}

const upOptions = z.object({
  services: texts.exactOptional(),
  forceRecreate: z.boolean().exactOptional(),
  alwaysRecreateDeps: z.boolean().exactOptional(),
  noRecreate: z.boolean().exactOptional(),
  noDeps: z.boolean().exactOptional(),
  removeOrphans: z.boolean().exactOptional(),
  ignoreOrphans: z.boolean().exactOptional(),
  scale: z.record(text, z.int().min(0).max(1000)).exactOptional(),
  noStart: z.boolean().exactOptional(),
  renewAnonVolumes: z.boolean().exactOptional(),
  rerun: texts.exactOptional(),
  before: text.exactOptional(),
  timeoutSeconds: seconds.exactOptional(),
  wait: z.boolean().exactOptional(),
  waitTimeoutSeconds: seconds.exactOptional(),
  pull: pullPolicy.exactOptional(),
  build: z.enum(['always', 'never']).exactOptional(),
  ssh: dictionary.exactOptional(),
  byHand: z.strictObject(byHand).exactOptional(),
})

/** Of what changes something. */
const manner = {
  dryRun: z.boolean().exactOptional(),
  parallel: z.int().min(1).exactOptional(),
}

/** The stack's own type is finer than what is checked here. */
type Typed<T> = z.ZodType<T>

export const upRequest = z.strictObject({
  ...source,
  ...manner,
  options: upOptions,
  credentials: credentials.exactOptional(),
  base: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .exactOptional(),
}) as unknown as Typed<UpRequest>

export const downRequest = z.strictObject({
  ...manner,
  source: z.strictObject(source).exactOptional(),
  options: z.strictObject({
    services: texts.exactOptional(),
    volumes: z.boolean().exactOptional(),
    removeOrphans: z.boolean().exactOptional(),
    timeoutSeconds: seconds.exactOptional(),
  }),
}) as unknown as Typed<DownRequest>

export const lifecycleRequest: Typed<LifecycleRequest> = z.strictObject({
  ...manner,
  action: z.enum(['start', 'stop', 'restart', 'kill', 'pause', 'unpause']),
  services: texts.exactOptional(),
  noDeps: z.boolean().exactOptional(),
  timeoutSeconds: seconds.exactOptional(),
  signal: text.exactOptional(),
  wait: z.boolean().exactOptional(),
  waitTimeoutSeconds: seconds.exactOptional(),
  ...byHand,
})

export const suspendRequest: Typed<SuspendRequest> = z.strictObject(byHand)
export const statusQuery = z.strictObject({ follow: flag.exactOptional() })

const revisionNumber = z.coerce.number().int().min(1).max(99_999_999)
export const revisionRangeQuery = z.strictObject({
  from: revisionNumber.exactOptional(),
  to: revisionNumber.exactOptional(),
})
export const rollbackRequest: Typed<RollbackRequest> = z.strictObject({
  ...manner,
  revision: z.int().min(1).max(99_999_999).exactOptional(),
  timeoutSeconds: seconds.exactOptional(),
  wait: z.boolean().exactOptional(),
  waitTimeoutSeconds: seconds.exactOptional(),
})

const size = z.int().min(1).max(10_000)
export const resize: Typed<Resize> = z.strictObject({ columns: size, rows: size })

export const runRequest = z.strictObject({
  ...source,
  service: text,
  name: z
    .string()
    .regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/)
    .max(255)
    .exactOptional(),
  command: texts.exactOptional(),
  entrypoint: texts.exactOptional(),
  environment: z.record(text, text.nullable()).exactOptional(),
  user: text.exactOptional(),
  workdir: text.exactOptional(),
  labels: dictionary.exactOptional(),
  volumes: texts.exactOptional(),
  publish: texts.exactOptional(),
  servicePorts: z.boolean().exactOptional(),
  useAliases: z.boolean().exactOptional(),
  noDeps: z.boolean().exactOptional(),
  tty: z.boolean(),
  stdin: z.boolean(),
  size: resize.exactOptional(),
  remove: z.boolean().exactOptional(),
  capAdd: texts.exactOptional(),
  capDrop: texts.exactOptional(),
  pull: pullPolicy.exactOptional(),
  credentials: credentials.exactOptional(),
}) as unknown as Typed<RunRequest>

export const execRequest: Typed<ExecRequest> = z.strictObject({
  command: texts.min(1),
  tty: z.boolean(),
  stdin: z.boolean(),
  detach: z.boolean().exactOptional(),
  user: text.exactOptional(),
  workingDir: text.exactOptional(),
  environment: dictionary.exactOptional(),
  privileged: z.boolean().exactOptional(),
  size: resize.exactOptional(),
})

export const logsQuery: Typed<LogsQuery> = z.strictObject({
  services: text.exactOptional(),
  oneoff: flag.exactOptional(),
  follow: flag.exactOptional(),
  untilEnded: flag.exactOptional(),
  tail: z
    .string()
    .regex(/^(all|\d{1,9})$/)
    .exactOptional(),
  since: text.exactOptional(),
  until: text.exactOptional(),
})

export const containersQuery = z.strictObject({
  stack: text.exactOptional(),
  all: flag.exactOptional(),
})
export const removeQuery = z.strictObject({
  force: flag.exactOptional(),
  volumes: flag.exactOptional(),
})
export const killQuery = z.strictObject({ signal: text.exactOptional() })
export const statsQuery = z.strictObject({
  stack: text.exactOptional(),
  stream: flag.exactOptional(),
})
export const eventsQuery = z.strictObject({
  stack: text.exactOptional(),
  since: text.exactOptional(),
  follow: flag.exactOptional(),
})
export const stackQuery = z.strictObject({ stack: text.exactOptional() })
export const volumesQuery = z.strictObject({
  stack: text.exactOptional(),
  sizes: flag.exactOptional(),
})
export const pruneQuery = z.strictObject({ all: flag.exactOptional() })

const resourceName = z
  .string()
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/)
  .max(255)

export const volumeRequest: Typed<VolumeRequest> = z.strictObject({
  name: resourceName,
  labels: dictionary.exactOptional(),
  options: dictionary.exactOptional(),
})

export const networkRequest: Typed<NetworkRequest> = z.strictObject({
  name: resourceName,
  driver: text.exactOptional(),
  subnets: z
    .array(
      z.strictObject({
        subnet: text,
        ipRange: text.exactOptional(),
        gateway: text.exactOptional(),
      }),
    )
    .max(16)
    .exactOptional(),
  internal: z.boolean().exactOptional(),
  ipv6: z.boolean().exactOptional(),
  options: dictionary.exactOptional(),
  labels: dictionary.exactOptional(),
})
