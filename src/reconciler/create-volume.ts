/** Making volumes: the record first, then the directory. */
import { volumeConfigHash } from '../planner/config-hash.ts'
import { volumeNamed } from '../planner/replica-identity.ts'
import type { VolumeDefinition } from '../spec/stack.ts'
import { volumeSourceOf } from '../volumes/volume-source.ts'
import { TsstackError } from '../errors.ts'
import type { Context } from './context.ts'
import type { ResolvedStack } from './resolved-stack.ts'
import type { VolumeRecord } from './records.ts'

/** Makes a named volume of a stack, and remembers whose it is. Idempotent. */
export async function createVolume(
  context: Context,
  name: string,
  resolved: ResolvedStack,
): Promise<void> {
  const { stack } = resolved.desired
  const found = volumeNamed(stack, name)
  if (found === undefined)
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot create volume "${name}": the stack has none of that name`,
    )
  if (context.volumeRecords.get(name) !== undefined) return
  const { key, definition } = found
  const labels = {
    ...definition.labels,
    'com.docker.compose.project': stack.name,
    'com.docker.compose.volume': key,
  }
  const configHash = volumeConfigHash(definition)
  await putVolume(context, { name, stack: stack.name, key, labels, configHash }, definition)
}

/**
 * Makes a volume from its record and definition.
 * @throws {UNIMPLEMENTED} for a driver that there is not, {INVALID_ARGUMENT} for options that can't be
 */
export async function putVolume(
  context: Context,
  record: Omit<VolumeRecord, 'createdAt' | 'options'>,
  { driver, driver_opts: options }: Pick<VolumeDefinition, 'driver' | 'driver_opts'>,
): Promise<void> {
  const { name } = record
  // A record of what is no name could neither be listed nor removed.
  context.volumes.dataPath(name)
  if (driver !== undefined && driver !== 'local')
    throw new TsstackError(
      'UNIMPLEMENTED',
      `Cannot create volume "${name}": there is no driver "${driver}"`,
    )
  const hasOptions = options !== undefined && Object.keys(options).length > 0
  if (hasOptions) volumeSourceOf(name, options)
  // Before it is made: a crash between leaves nothing that nobody knows of.
  context.volumeRecords.put(name, {
    ...record,
    ...(hasOptions ? { options } : {}),
    createdAt: new Date().toISOString(),
  })
  await context.volumes.create(name)
  context.events.emit({
    type: 'volume',
    action: 'create',
    stack: record.stack ?? '',
    id: name,
    attributes: {},
  })
}
