import type { z } from 'zod'
import { TsstackError } from '../errors.ts'

/** @throws {INVALID_ARGUMENT} naming each part of the body that is wrong */
export function parseBody<T extends z.ZodType>(schema: T, body: unknown): z.output<T> {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues
    .slice(0, 10)
    .map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`)
  throw new TsstackError('INVALID_ARGUMENT', `Cannot read request: ${issues.join('; ')}`)
}
