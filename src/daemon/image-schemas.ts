/** What clients may send about images. */
import { z } from 'zod'
import type {
  LoadFileRequest,
  LoginRequest,
  PullRequest,
  PushRequest,
  RemoveImagesRequest,
  SystemPruneRequest,
  TagsRequest,
  TransferRequest,
} from '../api/image-types.ts'
import { compression, credentials, source } from './request-schemas.ts'

type Typed<T> = z.ZodType<T>

const name = z.string().min(1).max(8192)
const names = z.array(name).max(1000)
const services = z.array(z.string().max(255)).max(10_000)

export const pullRequest = z.strictObject({
  ...source,
  options: z.strictObject({
    services: services.exactOptional(),
    includeDeps: z.boolean().exactOptional(),
    policy: z.enum(['always', 'missing']).exactOptional(),
    ignoreFailures: z.boolean().exactOptional(),
  }),
  credentials: credentials.exactOptional(),
}) as unknown as Typed<PullRequest>

export const pushRequest = z.strictObject({
  ...source,
  options: z.strictObject({
    services: services.exactOptional(),
    includeDeps: z.boolean().exactOptional(),
    ignoreFailures: z.boolean().exactOptional(),
    compression: compression.exactOptional(),
  }),
  credentials: credentials.exactOptional(),
}) as unknown as Typed<PushRequest>

export const transferRequest: Typed<TransferRequest> = z.strictObject({
  references: names.min(1),
  platform: z.string().max(200).exactOptional(),
  compression: compression.exactOptional(),
  credentials: credentials.exactOptional(),
})

export const tagsRequest: Typed<TagsRequest> = z.strictObject({
  repository: name,
  credentials: credentials.exactOptional(),
})

export const loginRequest: Typed<LoginRequest> = z.strictObject({
  registry: z.string().min(1).max(300),
  credentials: z.union([
    z.strictObject({ username: name, password: name }),
    z.strictObject({ identityToken: name }),
  ]),
})

export const loadFileRequest: Typed<LoadFileRequest> = z.strictObject({
  path: z.string().startsWith('/').max(4096),
  version: z.string().max(100),
})

const flag = z.union([z.stringbool(), z.boolean()])

export const nameQuery = z.strictObject({ name })
export const tagRequest = z.strictObject({ source: name, target: name })
export const removeImagesRequest: Typed<RemoveImagesRequest> = z.strictObject({
  images: names.min(1),
  force: z.boolean().exactOptional(),
})
export const systemPruneRequest: Typed<SystemPruneRequest> = z.strictObject({
  all: z.boolean().exactOptional(),
  volumes: z.boolean().exactOptional(),
  filters: names.exactOptional(),
})

/** A list in a query, as JSON: names have commas in them. */
const listInQuery = z
  .string()
  .max(1 << 20)
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text)
    } catch {
      context.addIssue('it is not JSON')
      return z.NEVER
    }
  })
  .pipe(names)

export const archiveQuery = z.strictObject({ names: listInQuery.pipe(names.min(1)) })
export const imagePruneQuery = z.strictObject({
  all: flag.exactOptional(),
  filters: listInQuery.exactOptional(),
})
export const importQuery = z.strictObject({
  name: name.exactOptional(),
  changes: listInQuery.exactOptional(),
})
