/** `kill`, `pause` and `unpause`: they need no order, and a stuck start must not hold them up. */
import type { LifecycleAction, LifecycleRequest, ProgressEvent } from '../api/types.ts'
import { parseSignal } from '../engine/signals.ts'
import { TsstackError } from '../errors.ts'
import type { Context } from './context.ts'
import { containersOf } from './observe.ts'
import type { ContainerRecord } from './records.ts'
import { killContainer, pauseContainer, unpauseContainer } from './stop-container.ts'

type SignalAction = 'kill' | 'pause' | 'unpause'

interface SignalTarget {
  readonly stack: string
  readonly request: LifecycleRequest
}

/** As Docker Compose says it. */
const WORDS: Readonly<Record<SignalAction, readonly [doing: string, done: string]>> = {
  kill: ['Killing', 'Killed'],
  pause: ['Pausing', 'Paused'],
  unpause: ['Unpausing', 'Unpaused'],
}

export function isSignalling(action: LifecycleAction): action is SignalAction {
  return Object.hasOwn(WORDS, action)
}

function isMeant(action: SignalAction, { state }: ContainerRecord): boolean {
  return action === 'unpause' ? state === 'paused' : state === 'running' || state === 'paused'
}

/** @throws {NOT_FOUND} for a named service without a container */
function targetsOf(
  context: Context,
  { stack, request }: SignalTarget,
  action: SignalAction,
): readonly ContainerRecord[] {
  const wanted = request.services ?? []
  const records = containersOf(context, stack).filter(
    ({ config }) => wanted.length === 0 || wanted.includes(config.service),
  )
  const missing = wanted.find(
    (service) => !records.some(({ config }) => config.service === service),
  )
  if (missing !== undefined)
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot ${action} service "${missing}": it has no container`,
    )
  return records.filter((record) => isMeant(action, record))
}

/**
 * Acts on all containers at once; with `dryRun` it only tells which.
 * @throws {NOT_FOUND} for a named service without a container; {INVALID_ARGUMENT} for a signal that is none; the first
 *   failure of a container
 */
export async function signalContainers(
  context: Context,
  target: SignalTarget,
  progress: (event: ProgressEvent) => void,
): Promise<void> {
  const { action, signal = 'SIGKILL', dryRun = false } = target.request
  if (!isSignalling(action)) return
  const number = parseSignal(signal)
  const [doing, done] = WORDS[action]
  const act = async (id: string): Promise<void> => {
    if (dryRun) return
    if (action === 'kill') await killContainer(context, id, number)
    else if (action === 'pause') await pauseContainer(context, id)
    else unpauseContainer(context, id)
  }
  const records = targetsOf(context, target, action)
  progress({ type: 'plan', operations: records.length })
  const one = async ({ id, config: { name } }: ContainerRecord, index: number): Promise<void> => {
    const base = { type: 'operation', id: index + 1, resource: 'container', name } as const
    progress({ ...base, action: doing, status: 'started' })
    try {
      await act(id)
    } catch (error) {
      progress({ ...base, action: doing, status: 'failed' })
      throw error
    }
    progress({ ...base, action: done, status: 'done' })
  }
  await Promise.all(records.map(one))
}
