import { volumeConfigHash } from '../planner/config-hash.ts'
import { TsstackError } from '../errors.ts'
import type { Context } from './context.ts'
import type { ResolvedStack } from './resolved-stack.ts'

/** Makes a named volume of a stack, and remembers whose it is. Idempotent. */
export async function createVolume(
  context: Context,
  name: string,
  resolved: ResolvedStack,
): Promise<void> {
  const { stack } = resolved.desired
  const [key, definition] =
    Object.entries(stack.volumes).find(([, volume]) => volume.name === name) ?? []
  if (key === undefined || definition === undefined)
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot create volume "${name}": the stack has none of that name`,
    )
  if (definition.driver !== undefined && definition.driver !== 'local') {
    throw new TsstackError(
      'UNIMPLEMENTED',
      `Cannot create volume "${name}": there is no driver "${definition.driver}"`,
    )
  }
  // Before it is made: a crash between leaves nothing that nobody knows of.
  context.volumeRecords.put(name, {
    name,
    stack: stack.name,
    key,
    configHash: volumeConfigHash(definition),
    labels: {
      ...definition.labels,
      'com.docker.compose.project': stack.name,
      'com.docker.compose.volume': key,
    },
    createdAt: new Date().toISOString(),
  })
  await context.volumes.create(name)
  context.events.emit({
    type: 'volume',
    action: 'create',
    stack: stack.name,
    id: name,
    attributes: {},
  })
}
