/** Stopping, killing and pausing. The caller holds the container's lock, but for kill. */
import { readFileSync } from 'node:fs'
import { signalName } from '../engine/signals.ts'
import { runPreStopHooks } from './container-hooks.ts'
import { toTsstackError, TsstackError } from '../errors.ts'
import { emitContainerEvent } from './container-event.ts'
import type { Context, LiveContainer } from './context.ts'
import { requireContainer } from './find-container.ts'
import { nobodyJoining } from './joining.ts'
import type { LockOptions } from './locks.ts'
import { LONGEST_TIMER_MS } from '../timer-limit.ts'

const SIGKILL = 9
const KILL_DEADLINE_MS = 10_000

export interface StopOptions {
  /** Default: the container's own. */
  readonly graceMs?: number
  /** The caller is going to start it again: whoever finds it stopped, after a crash or a failure, does that instead. */
  readonly restarts?: boolean
}

/**
 * Sends the stop signal, waits for the grace period, kills. Nothing to do when it does not run.
 * @returns a warning for the user: the signal would not have been heard, and the container was killed at once
 * @throws {HookFailure} of a pre_stop hook; the container is stopped
 */
export async function stopContainer(
  context: Context,
  id: string,
  options: StopOptions = {},
): Promise<string | undefined> {
  const record = requireContainer(context, id)
  clearTimeout(context.restartTimers.get(id))
  context.restartTimers.delete(id)
  const settled = record.state === 'restarting' ? 'exited' : record.state
  const wanted = options.restarts === true ? 'restarted' : 'stopped'
  context.containers.put(id, { ...record, wanted, state: settled })
  const live = context.live.get(id)
  if (live === undefined) return undefined
  context.networks.readinessChanged(id)
  if (live.cgroup.isFrozen()) live.cgroup.thaw()
  const graceMs = Math.min(options.graceMs ?? record.config.stopGraceMs, LONGEST_TIMER_MS)
  const startedAt = performance.now()
  const impatience = openImpatience(live)
  try {
    const hookFailure = await runPreStopHooks(context, record, graceMs, impatience.signal)
    const leftMs = graceMs - (performance.now() - startedAt)
    const warning = await endProcess(context, live, leftMs, impatience.signal)
    if (hookFailure !== undefined) throw hookFailure
    return warning
  } finally {
    impatience.close()
  }
}

/** A signal that is raised when the time is over that others give the container to stop. */
function openImpatience(live: LiveContainer): { signal: AbortSignal; close: () => void } {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const watch = (): void => {
    clearTimeout(timer)
    if (live.stopDeadline === undefined) return
    const leftMs = Math.min(Math.max(0, live.stopDeadline - performance.now()), LONGEST_TIMER_MS)
    timer = setTimeout(() => {
      controller.abort()
    }, leftMs)
  }
  live.hasten = watch
  watch()
  return {
    signal: controller.signal,
    close: () => {
      clearTimeout(timer)
      delete live.hasten
    },
  }
}

/** A request to stop, or take down, a stack. */
interface StopRequest {
  readonly stack: string
  readonly services?: readonly string[] | undefined
  /** Absent: each container's own grace period. */
  readonly timeoutSeconds?: number | undefined
}

/**
 * Work under the stack's lock for who asks to stop: with less patience than those before, it does not wait for the grace
 * period that they give. When its turn has come, what it gives itself counts.
 */
export async function runHastening<T>(
  context: Context,
  { stack, services = [], timeoutSeconds = Infinity, ...lock }: StopRequest & LockOptions,
  work: (hurry: AbortSignal) => Promise<T>,
): Promise<T> {
  const by = performance.now() + timeoutSeconds * 1000
  const meant = [...context.live.values()].filter(({ id, stopDeadline = Infinity }) => {
    const config = context.containers.get(id)?.config
    const isNamed = services.length === 0 || services.includes(config?.service ?? '')
    return config?.stack === stack && isNamed && by < stopDeadline
  })
  const begun = (): void => {
    for (const live of meant) if (live.stopDeadline === by) delete live.stopDeadline
  }
  for (const live of meant) {
    live.stopDeadline = by
    live.hasten?.()
  }
  const inTurn = (hurry: AbortSignal): Promise<T> => {
    begun()
    return work(hurry)
  }
  try {
    return await context.locks.run(`stack ${stack}`, inTurn, lock)
  } finally {
    begun()
  }
}

/**
 * As stopContainer, for what comes after the stop all the same: a hook that fails is no reason to leave it at that.
 * @returns a warning for the user
 */
export async function stopRegardless(
  context: Context,
  id: string,
  options: StopOptions,
): Promise<string | undefined> {
  try {
    return await stopContainer(context, id, options)
  } catch (error) {
    if (context.live.has(id)) throw error
    return toTsstackError(error).message
  }
}

/**
 * Ends it as `stop` does, but for the wish that it be stopped.
 * @param graceMs - less than 0: none is left
 * @param hurry - ends the grace period
 */
export async function endProcess(
  context: Context,
  live: LiveContainer,
  graceMs: number,
  hurry?: AbortSignal,
): Promise<string | undefined> {
  const record = requireContainer(context, live.id)
  const { stopSignal, init, service } = record.config
  const hears = init || hearsSignal(live.process.pid, stopSignal)
  if (graceMs > 0 && hears && hurry?.aborted !== true) {
    emitContainerEvent(context, record, 'kill', { signal: String(stopSignal) })
    live.process.signal(stopSignal)
    if (await exitsWithin(live, graceMs, hurry)) return undefined
  }
  emitContainerEvent(context, record, 'kill', { signal: String(SIGKILL) })
  live.process.signal(SIGKILL)
  await exitsWithin(live, KILL_DEADLINE_MS)
  return graceMs > 0 && !hears ? deafWarning(service, stopSignal) : undefined
}

function deafWarning(service: string, signal: number): string {
  const name = signalName(signal)
  return (
    `service "${service}" was killed without waiting: its first process has no handler for ${name}, and the kernel drops ` +
    `such signals; set "init: true", handle ${name}, or set "stop_signal"`
  )
}

/**
 * The kernel drops a signal to the first process of a pid namespace that has no handler for it (man 7 pid_namespaces), and
 * one that any process ignores. Waiting for it would be in vain: this is why so many containers take their whole grace
 * period to stop.
 */
function hearsSignal(pid: number, signal: number): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1')
    const bit = 1n << BigInt(signal - 1)
    const has = (name: string): boolean => {
      const [, mask = '0'] = new RegExp(`^${name}:\\t([0-9a-f]+)$`, 'm').exec(status) ?? []
      return (BigInt(`0x${mask}`) & bit) !== 0n
    }
    if (has('SigBlk')) return true // it may take them with sigwait(3) or signalfd(2)
    const isFirst = /^NSpid:.*\t1$/m.test(status)
    return isFirst ? has('SigCgt') : !has('SigIgn')
  } catch {
    return true
  }
}

/** Until the exit has been dealt with, not only happened. */
async function exitsWithin(
  live: LiveContainer,
  timeoutMs: number,
  hurry?: AbortSignal,
): Promise<boolean> {
  const over = Promise.withResolvers<false>()
  const end = (): void => {
    over.resolve(false)
  }
  const timer = setTimeout(end, Math.min(timeoutMs, LONGEST_TIMER_MS))
  hurry?.addEventListener('abort', end)
  const exited = live.ended.then(() => true as const)
  const result = await Promise.race([exited, over.promise])
  clearTimeout(timer)
  hurry?.removeEventListener('abort', end)
  return result
}

/** Sends a signal. SIGKILL is not answered by a restart, and its effect is waited for. */
export async function killContainer(context: Context, id: string, signal: number): Promise<void> {
  const record = requireContainer(context, id)
  const live = context.live.get(id)
  if (live === undefined) return
  if (signal === SIGKILL) {
    context.containers.put(id, { ...record, wanted: 'stopped' })
    if (live.cgroup.isFrozen()) live.cgroup.thaw()
  }
  emitContainerEvent(context, record, 'kill', { signal: String(signal) })
  live.process.signal(signal)
  if (signal === SIGKILL) await exitsWithin(live, KILL_DEADLINE_MS)
}

/**
 * Stops every process of the container in its tracks (cgroup freezer).
 * @throws {FAILED_PRECONDITION} it is paused already
 */
export async function pauseContainer(
  context: Context,
  id: string,
  { briefly = false } = {},
): Promise<void> {
  await nobodyJoining(context.live.get(id)?.cgroup.name ?? '')
  const { pausedBriefly: _, ...record } = requireContainer(context, id)
  const live = context.live.get(id)
  if (live === undefined) return
  if (record.state === 'paused')
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot pause container "${record.config.name}": it is already paused`,
    )
  const mark = briefly ? { pausedBriefly: true as const } : {}
  context.containers.put(id, { ...record, state: 'paused', ...mark })
  try {
    live.cgroup.freeze()
  } catch (error) {
    context.containers.put(id, record)
    throw error
  }
  emitContainerEvent(context, record, 'pause')
}

export function unpauseContainer(context: Context, id: string): void {
  const { pausedBriefly: _, ...record } = requireContainer(context, id)
  const live = context.live.get(id)
  if (live === undefined || record.state !== 'paused') return
  live.cgroup.thaw()
  context.containers.put(id, { ...record, state: 'running' })
  emitContainerEvent(context, record, 'unpause')
}
