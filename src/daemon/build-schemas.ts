/** What clients may send of builds. */
import { z } from 'zod'
import type { BuildPruneRequest, BuildRequest } from '../api/build-types.ts'
import { compression, credentials, source } from './request-schemas.ts'

const text = z.string().max(1 << 20)
const dictionary = z.record(text, text)

/** The stack's own type is finer than what is checked here. */
export const buildRequest = z.strictObject({
  ...source,
  options: z.strictObject({
    services: z.array(text).max(10_000).exactOptional(),
    withDependencies: z.boolean().exactOptional(),
    check: z.boolean().exactOptional(),
    noCache: z.boolean().exactOptional(),
    pull: z.boolean().exactOptional(),
    push: z.boolean().exactOptional(),
    compression: compression.exactOptional(),
    args: dictionary.exactOptional(),
    ssh: dictionary.exactOptional(),
  }),
  credentials: credentials.exactOptional(),
}) as unknown as z.ZodType<BuildRequest>

export const buildPruneRequest: z.ZodType<BuildPruneRequest> = z.strictObject({
  keepBytes: z.number().min(0).exactOptional(),
  usedBefore: z.number().exactOptional(),
})
