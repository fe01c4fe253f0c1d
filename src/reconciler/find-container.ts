import { TsstackError } from '../errors.ts'
import type { Context } from './context.ts'
import type { ContainerRecord } from './records.ts'

/** By id, by name, or by a prefix of the id that only one has. @throws {NOT_FOUND} {INVALID_ARGUMENT} */
export function findContainer(
  context: Pick<Context, 'containers'>,
  reference: string,
): ContainerRecord {
  const records = context.containers.values()
  const exact =
    context.containers.get(reference) ?? records.find(({ config }) => config.name === reference)
  if (exact !== undefined) return exact
  const matches = /^[0-9a-f]{2,}$/.test(reference)
    ? records.filter(({ id }) => id.startsWith(reference))
    : []
  if (matches.length > 1)
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot find container "${reference}": ${matches.length} ids begin so`,
    )
  if (matches[0] !== undefined) return matches[0]
  throw new TsstackError('NOT_FOUND', `Cannot find container "${reference}"`)
}

/** A container that must be there, by its id. @throws {NOT_FOUND} */
export function requireContainer(
  context: Pick<Context, 'containers'>,
  id: string,
): ContainerRecord {
  const record = context.containers.get(id)
  if (record !== undefined) return record
  throw new TsstackError('NOT_FOUND', `Cannot find container "${id}"`)
}
