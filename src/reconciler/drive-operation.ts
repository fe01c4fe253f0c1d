/** Each operation of a plan as calls of the rooms below. */
import type { ProgressEvent } from '../api/types.ts'
import type { Operation, Plan } from '../planner/plan.ts'
import { TsstackError, toTsstackError } from '../errors.ts'
import { createContainer } from './create-container.ts'
import { createVolume } from './create-volume.ts'
import type { Context } from './context.ts'
import type { ResolvedStack } from './resolved-stack.ts'
import type { OperationDriver } from './execute-plan.ts'
import { inUse, usersOfNetwork } from './network-admin.ts'
import type { ContainerRecord } from './records.ts'
import { removeContainer } from './remove-container.ts'
import { startOnRequest } from './request-start.ts'
import { leave } from './rollout/leave.ts'
import { rollOut } from './rollout/roll-out.ts'
import { stopContainer, stopRegardless } from './stop-container.ts'
import { updateContainer } from './update-container.ts'
import { dropVolume, usersOfVolume } from './volume-admin.ts'
import { waitForService } from './wait-for.ts'

export interface DriveOptions {
  readonly stack: string
  /** Needed by operations that make something. */
  readonly resolved?: ResolvedStack
  readonly graceMs?: number
  /** Raised when it is to wait for nothing any more. */
  readonly hurry?: AbortSignal
  /** Raised when it is to wait for hooks of a start and for other services no more; rollouts go on. */
  readonly patience?: AbortSignal | undefined
  /** Told what an operation of several steps does. */
  readonly progress?: (event: ProgressEvent) => void
}

/** @param plan - what an operation means depends on those beside it */
export function operationDriver(
  context: Context,
  { operations }: Plan,
  options: DriveOptions,
): OperationDriver {
  const going = containersOf(operations, 'remove-container')
  const restarting = containersOf(operations, 'start-container')
  const replaced = new Set(
    operations.flatMap((operation) =>
      operation.kind === 'create-container' ? (operation.replaces ?? []) : [],
    ),
  )
  return async (operation) => {
    const warning = await drive(context, operation, { ...options, going, restarting, replaced })
    return warning === undefined ? {} : { warning }
  }
}

interface Driving extends DriveOptions {
  /** Containers that the plan removes. */
  readonly going: ReadonlySet<string>
  /** Containers of before that it starts. */
  readonly restarting: ReadonlySet<string>
  /** Containers that leave their anonymous volumes to others. */
  readonly replaced: ReadonlySet<string>
}

/** Ids of those that there were before the plan. */
function containersOf(
  operations: readonly Operation[],
  wanted: Operation['kind'],
): ReadonlySet<string> {
  return new Set(
    operations.flatMap((operation) =>
      operation.kind === wanted && 'containerId' in operation ? (operation.containerId ?? []) : [],
    ),
  )
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
      return removeNetworkOf(context, operation.network, options)
    case 'create-volume':
      await createVolume(context, operation.volume, resolvedOf(options))
      return undefined
    case 'remove-volume':
      return removeVolumeOf(context, operation.volume, options)
    case 'create-container':
      await create(context, operation, options)
      return undefined
    case 'update-container':
      return context.locks.run(operation.containerId, () =>
        Promise.resolve(updateContainer(context, operation.containerId, resolvedOf(options))),
      )
    case 'start-container':
      return startOnRequest(
        context,
        operation.containerId ?? findByName(context, operation.container),
        eitherOf(options),
      )
    case 'stop-container':
      return stop(context, operation, options)
    case 'remove-container':
      return remove(context, operation, options)
    case 'roll-out-service':
      return rollOut(context, operation, { ...options, resolved: resolvedOf(options) })
    case 'wait-for-service':
      return wait(context, operation, options)
  }
}

/** Other stacks may use a network as external: it stays with them, and must not be made anew under them. */
function removeNetworkOf(
  context: Context,
  name: string,
  { stack, resolved }: Driving,
): string | undefined {
  const others = usersOfNetwork(context, name).filter(({ config }) => config.stack !== stack)
  if (others.length === 0) {
    context.networks.remove(name)
    return undefined
  }
  if (resolved !== undefined) throw inUse('network', name, others)
  return `network "${name}" stays: ${namesOf(others)} are on it`
}

async function removeVolumeOf(
  context: Context,
  name: string,
  { stack }: Driving,
): Promise<string | undefined> {
  const others = usersOfVolume(context, name).filter(({ config }) => config.stack !== stack)
  if (others.length > 0) return `volume "${name}" stays: ${namesOf(others)} use it`
  await dropVolume(context, name)
  return undefined
}

function namesOf(records: readonly ContainerRecord[]): string {
  return `containers of other stacks (${records.map(({ config }) => config.name).join(', ')})`
}

function resolvedOf(options: DriveOptions): ResolvedStack {
  if (options.resolved !== undefined) return options.resolved
  throw new TsstackError(
    'INTERNAL',
    `Cannot make anything of stack "${options.stack}": its definition is not at hand`,
  )
}

function findByName(context: Context, name: string): string {
  const record = context.containers.values().find((candidate) => candidate.config.name === name)
  if (record !== undefined) return record.id
  throw new TsstackError('NOT_FOUND', `Cannot start container "${name}": it does not exist`)
}

async function create(
  context: Context,
  { service, number, container }: Operation & { kind: 'create-container' },
  options: Driving,
): Promise<void> {
  const replica = { stack: options.stack, service, number }
  await createContainer(context, {
    resolved: resolvedOf(options),
    service,
    number,
    name: container,
    inherits: context.estates.of(replica) ?? {},
  })
  context.estates.settle(replica)
}

/** It may have been started since the plan was made: by its restart policy, by another client. */
async function remove(
  context: Context,
  { containerId, volumes }: Operation & { kind: 'remove-container' },
  { graceMs, replaced }: Driving,
): Promise<string | undefined> {
  return context.locks.run(containerId, async () => {
    const warning = context.live.has(containerId)
      ? await stopRegardless(context, containerId, graceMs === undefined ? {} : { graceMs })
      : undefined
    const record = context.containers.get(containerId)
    if (record !== undefined && replaced.has(containerId))
      context.estates.leave(record.config, record.anonymousVolumes)
    await removeContainer(context, containerId, { volumes: volumes ?? false })
    return warning
  })
}

/** A hook that fails keeps no container from being replaced, but one from being removed: it stops, and stays. */
async function stop(
  context: Context,
  { containerId, drainMs }: Operation & { kind: 'stop-container' },
  { graceMs, replaced, restarting, hurry }: Driving,
): Promise<string | undefined> {
  if (drainMs !== undefined) await leave(context, containerId, { longestMs: drainMs, hurry })
  const restarts = restarting.has(containerId)
  const options = { ...(graceMs === undefined ? {} : { graceMs }), restarts }
  const goesOn = restarts || replaced.has(containerId)
  return context.locks.run(containerId, () =>
    (goesOn ? stopRegardless : stopContainer)(context, containerId, options),
  )
}

function eitherOf({ hurry, patience }: Driving): AbortSignal | undefined {
  if (hurry === undefined || patience === undefined) return hurry ?? patience
  return AbortSignal.any([hurry, patience])
}

async function wait(
  context: Context,
  operation: Operation & { kind: 'wait-for-service' },
  options: Driving,
): Promise<string | undefined> {
  const signal = eitherOf(options)
  try {
    await waitForService(context, {
      stack: options.stack,
      service: operation.service,
      goal: operation.condition,
      except: options.going,
      ...(signal === undefined ? {} : { signal }),
    })
    return undefined
  } catch (error) {
    if (operation.required) throw error
    return `optional dependency "${operation.service}" failed to start: ${toTsstackError(error).message}`
  }
}
