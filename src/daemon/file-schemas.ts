/** What clients may send about the files of containers. */
import { z } from 'zod'
import type { CommitRequest, FileQuery } from '../api/file-types.ts'

/** PATH_MAX of the kernel, and no NUL. */
const path = z
  .string()
  .min(1)
  .max(4095)
  .regex(/^[^\0]+$/)
/** One component, or none. */
const name = z
  .string()
  .max(255)
  .regex(/^[^\0/]*$/)
  .refine((text) => text !== '.' && text !== '..')

export const stateQuery = z.strictObject({ path })

export const copyQuery: z.ZodType<FileQuery> = z.strictObject({
  path,
  follow: z.stringbool().default(false),
  name,
})

export const copyIntoQuery = z.strictObject({ path, keepIds: z.stringbool().default(false) })

const line = z.string().min(1).max(65_536)

export const commitRequest: z.ZodType<CommitRequest> = z.strictObject({
  reference: z.string().min(1).max(1024).exactOptional(),
  author: line.exactOptional(),
  message: line.exactOptional(),
  changes: z.array(line).max(1000),
  pause: z.boolean(),
})
