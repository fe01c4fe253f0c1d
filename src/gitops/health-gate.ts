/** Whether a revision is good: all that it wants is ready in time, and stays so for a while after that. */
import { setTimeout as sleep } from 'node:timers/promises'
import { TsstackError } from '../errors.ts'
import type { Context } from '../reconciler/context.ts'
import { containersOf } from '../reconciler/observe.ts'
import { judge, waitForService } from '../reconciler/wait-for.ts'

/** More starts by its restart policy, and a container is in a loop. */
const MAX_RESTARTS = 3

export interface HealthGate {
  readonly stack: string
  readonly services: readonly string[]
  readonly timeoutMs: number
  /** No container may fail, or be started again, for so long. */
  readonly monitorMs: number
  /** Ends the wait: there is something newer to do. */
  readonly signal: AbortSignal
}

/**
 * @throws {FAILED_PRECONDITION} with what is not ready, or did not stay so; {CANCELLED} when the signal is raised
 */
export async function passHealthGate(context: Context, gate: HealthGate): Promise<void> {
  const late = AbortSignal.timeout(gate.timeoutMs)
  const loop = watchForLoop(context, gate)
  const disturbed = AbortSignal.any([gate.signal, loop.signal])
  try {
    for (;;) {
      await allReady(context, gate, AbortSignal.any([disturbed, late]))
      const before = restarts(context, gate)
      // What was ready in time is watched to the end, however little of the time was left.
      await sleep(gate.monitorMs, undefined, { signal: disturbed })
      const isQuiet = [...restarts(context, gate)].every(([id, count]) => count === before.get(id))
      if (isQuiet && unready(context, gate).length === 0) break
    }
  } catch (error) {
    if (gate.signal.aborted) throw superseded(gate.stack)
    if (loop.signal.aborted) throw loop.signal.reason as TsstackError
    if (late.aborted) throw tooLate(context, gate)
    throw error
  } finally {
    loop.stop()
  }
}

/** Names of the containers that are not as they should be. */
function unready(context: Context, { stack, services }: HealthGate): string[] {
  return containersOf(context, stack)
    .filter(({ config, part }) => services.includes(config.service) && part === undefined)
    .filter((record) => judge(context, record, 'settled').kind !== 'ready')
    .map(({ config }) => config.name)
}

async function allReady(context: Context, gate: HealthGate, signal: AbortSignal): Promise<void> {
  const { stack, services } = gate
  if (signal.aborted) throw superseded(stack)
  await Promise.all(
    services.map((service) => waitForService(context, { stack, service, goal: 'settled', signal })),
  )
}

/** Raised when a container is started again and again: no use in waiting until it is too late. */
function watchForLoop(
  context: Context,
  gate: HealthGate,
): { readonly signal: AbortSignal; readonly stop: () => void } {
  const loop = new AbortController()
  const before = restarts(context, gate)
  const stop = context.events.subscribe(({ stack }) => {
    if (stack !== gate.stack) return
    const again = [...restarts(context, gate)].find(
      ([id, count]) => count - (before.get(id) ?? 0) >= MAX_RESTARTS,
    )
    if (again !== undefined) loop.abort(notStable(nameOf(context, again[0])))
  })
  return { signal: loop.signal, stop }
}

function nameOf(context: Context, id: string): string {
  return context.containers.get(id)?.config.name ?? id
}

function restarts(context: Context, { stack, services }: HealthGate): Map<string, number> {
  const wanted = containersOf(context, stack).filter(({ config }) =>
    services.includes(config.service),
  )
  return new Map(wanted.map(({ id, restartCount }) => [id, restartCount]))
}

function superseded(stack: string): TsstackError {
  return new TsstackError('CANCELLED', `Cannot wait for stack "${stack}" any longer`)
}

function notStable(container: string): TsstackError {
  return new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot accept the revision: container "${container}" was started again by its restart policy`,
  )
}

function tooLate(context: Context, gate: HealthGate): TsstackError {
  const late = unready(context, gate)
  const who = late.length === 0 ? 'it did not stay ready' : `not ready: ${late.join(', ')}`
  return new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot accept the revision: after ${String(gate.timeoutMs / 1000)} s ${who}`,
  )
}
