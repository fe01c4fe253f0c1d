/** What clients may send about watched files. */
import path from 'node:path'
import { z } from 'zod'
import type { SyncRequest } from '../api/watch-types.ts'

const MAX_ENTRIES = 200_000
const absolute = z
  .string()
  .max(4096)
  .regex(/^\/[^\0]*$/)
/** Below its root: plain components alone. */
const below = z
  .string()
  .max(4096)
  .refine(
    (text) =>
      text === '' ||
      (!text.includes('\0') &&
        path.posix.normalize(text) === text &&
        !/^(?:\/|\.\.?(?:\/|$))/.test(text)),
    'expected a relative path without "." and ".."',
  )

export const syncRequest: z.ZodType<SyncRequest> = z.strictObject({
  service: z.string().max(255),
  entries: z
    .array(z.strictObject({ root: absolute, path: below, target: absolute }))
    .max(MAX_ENTRIES),
})
