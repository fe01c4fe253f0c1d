/** Each operation of a plan as calls of the rooms below. */
import type { Operation } from '../planner/plan.ts'
import { volumeConfigHash } from '../planner/config-hash.ts'
import { TsstackError, toTsstackError } from '../errors.ts'
import { createContainer } from './create-container.ts'
import type { Context } from './context.ts'
import type { ResolvedStack } from './resolved-stack.ts'
import type { OperationDriver } from './execute-plan.ts'
import { requireContainer } from './find-container.ts'
import { launchContainer } from './launch-container.ts'
import { removeContainer } from './remove-container.ts'
import { stopContainer } from './stop-container.ts'
import { updateContainer } from './update-container.ts'
import { waitForService } from './wait-for.ts'

export interface DriveOptions {
  readonly stack: string
  /** Needed by operations that make something. */
  readonly resolved?: ResolvedStack
  readonly graceMs?: number
}

export function operationDriver(context: Context, options: DriveOptions): OperationDriver {
  // A replaced container is gone when its successor is made: remember now what the successor takes over.
  const volumes = new Map(
    context.containers.values().map((record) => [record.id, record.anonymousVolumes]),
  )
  return async (operation) => {
    const warning = await drive(context, operation, { ...options, volumes })
    return warning === undefined ? {} : { warning }
  }
}

interface Driving extends DriveOptions {
  /** Anonymous volumes by container id, as they were when the plan began. */
  readonly volumes: ReadonlyMap<string, Readonly<Record<string, string>>>
}

/** @returns a warning for the user */
async function drive(
  context: Context,
  operation: Operation,
  options: Driving,
): Promise<string | undefined> {
  switch (operation.kind) {
    case 'create-network':
      await context.networks.create(resolvedOf(options), operation.network)
      return undefined
    case 'remove-network':
      context.networks.remove(operation.network)
      return undefined
    case 'create-volume':
      return createVolume(context, operation.volume, resolvedOf(options))
    case 'remove-volume':
      await context.volumes.remove(operation.volume)
      context.volumeRecords.delete(operation.volume)
      context.events.emit({
        type: 'volume',
        action: 'destroy',
        stack: options.stack,
        id: operation.volume,
        attributes: {},
      })
      return undefined
    case 'create-container':
      await createContainer(context, {
        resolved: resolvedOf(options),
        service: operation.service,
        number: operation.number,
        name: operation.container,
        inherits: options.volumes.get(operation.replaces ?? '') ?? {},
      })
      return undefined
    case 'update-container':
      return context.locks.run(operation.containerId, () =>
        Promise.resolve(updateContainer(context, operation.containerId, resolvedOf(options))),
      )
    case 'start-container':
      return start(context, operation.containerId ?? findByName(context, operation.container))
    case 'stop-container':
      return context.locks.run(operation.containerId, async () => {
        await stopContainer(
          context,
          operation.containerId,
          options.graceMs === undefined ? {} : { graceMs: options.graceMs },
        )
        return undefined
      })
    case 'remove-container':
      return context.locks.run(operation.containerId, async () => {
        await removeContainer(context, operation.containerId, {
          volumes: operation.volumes ?? false,
        })
        return undefined
      })
    case 'wait-for-service':
      return wait(context, operation, options)
  }
}

function resolvedOf(options: DriveOptions): ResolvedStack {
  if (options.resolved !== undefined) return options.resolved
  throw new TsstackError(
    'INTERNAL',
    `Cannot make anything of stack "${options.stack}": its definition is not at hand`,
  )
}

async function createVolume(
  context: Context,
  name: string,
  resolved: ResolvedStack,
): Promise<undefined> {
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
  await context.volumes.create(name)
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
  context.events.emit({
    type: 'volume',
    action: 'create',
    stack: stack.name,
    id: name,
    attributes: {},
  })
  return undefined
}

function findByName(context: Context, name: string): string {
  const record = context.containers.values().find((candidate) => candidate.config.name === name)
  if (record !== undefined) return record.id
  throw new TsstackError('NOT_FOUND', `Cannot start container "${name}": it does not exist`)
}

async function start(context: Context, id: string): Promise<undefined> {
  return context.locks.run(id, async () => {
    const record = requireContainer(context, id)
    context.containers.put(id, { ...record, wanted: 'running', restartCount: 0 })
    await launchContainer(context, id)
    return undefined
  })
}

async function wait(
  context: Context,
  operation: Operation & { kind: 'wait-for-service' },
  options: DriveOptions,
): Promise<string | undefined> {
  try {
    await waitForService(context, {
      stack: options.stack,
      service: operation.service,
      goal: operation.condition,
    })
    return undefined
  } catch (error) {
    if (operation.required) throw error
    return toTsstackError(error).message
  }
}
