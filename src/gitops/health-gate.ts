/** Whether a revision is good: all that it wants is ready in time, and stays so for a while. */
import { setTimeout as sleep } from 'node:timers/promises'
import { TsstackError } from '../errors.ts'
import type { Context } from '../reconciler/context.ts'
import { containersOf } from '../reconciler/observe.ts'
import { waitForService } from '../reconciler/wait-for.ts'

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
  const { timeoutMs, monitorMs, signal } = gate
  const late = AbortSignal.timeout(timeoutMs)
  await allReady(context, gate, AbortSignal.any([signal, late])).catch((error: unknown) => {
    if (signal.aborted) throw superseded(gate.stack)
    if (late.aborted) throw tooLate(context, gate)
    throw error
  })
  const before = restarts(context, gate)
  await sleep(monitorMs, undefined, { signal }).catch(() => {
    throw superseded(gate.stack)
  })
  const again = [...restarts(context, gate)].find(([id, count]) => count > (before.get(id) ?? 0))
  if (again !== undefined)
    throw notStable(context.containers.get(again[0])?.config.name ?? again[0])
  await allReady(context, gate, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]))
}

async function allReady(context: Context, gate: HealthGate, signal: AbortSignal): Promise<void> {
  const { stack, services } = gate
  if (signal.aborted) throw superseded(stack)
  await Promise.all(
    services.map((service) => waitForService(context, { stack, service, goal: 'settled', signal })),
  )
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

function tooLate(context: Context, { stack, services, timeoutMs }: HealthGate): TsstackError {
  const late = containersOf(context, stack)
    .filter(({ config }) => services.includes(config.service))
    .filter(({ id, state }) => {
      const health = context.live.get(id)?.health
      return state !== 'running' || (health !== undefined && health.state() !== 'healthy')
    })
    .map(({ config }) => config.name)
  return new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot accept the revision: not ready after ${String(timeoutMs / 1000)} s: ${late.join(', ')}`,
  )
}
