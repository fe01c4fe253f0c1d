/** What happens when a container's first process has ended: account for it, let go, and maybe start it again. */
import type { ExitStatus } from '../kernel/process.ts'
import { log } from '../log.ts'
import { backOffMs } from './back-off.ts'
import { emitContainerEvent } from './container-event.ts'
import type { Context, LiveContainer } from './context.ts'
import type { ContainerRecord } from './records.ts'
import { removeContainer } from './remove-container.ts'
import { LONGEST_TIMER_MS } from '../timer-limit.ts'

/** From the second restart on; the first is at once. */
const BACK_OFF = { firstMs: 100, longestMs: 60_000 }
/** A container that ran this long starts its back-off anew (as Docker). */
const STABLE_AFTER_MS = 10_000
const CGROUP_REMOVAL_TRIES = 50
/** The first pauses are shorter: a restart waits for them, and most groups are empty within a millisecond. */
const FIRST_CGROUP_REMOVAL_PAUSE_MS = 1
const MAX_CGROUP_REMOVAL_PAUSE_MS = 20
/** An exit of which nobody could learn the code. */
export const UNKNOWN_EXIT_CODE = 255

/** Starts a container again: launch-container.ts, which imports this file. */
export type Launch = (context: Context, id: string) => Promise<void>

export interface EndedRun {
  readonly live: LiveContainer
  /** undefined: nobody could learn how it ended. */
  readonly status: ExitStatus | undefined
  readonly launch: Launch
}

/** Called once for each run of a container. */
export async function handleExit(
  context: Context,
  { live, status, launch }: EndedRun,
): Promise<void> {
  const { id } = live
  const exitCode = status?.exitCode ?? UNKNOWN_EXIT_CODE
  noteExitCode(context, id, exitCode)
  context.live.get(id)?.health?.close() // not that of the start: an update may have replaced it
  // In one go: what is closed must not be handed to another keeper.
  live.io.close()
  context.kept.forget(id)
  leaveNetworks(context, id)
  const oomKilled = live.cgroup.oomKills() > live.oomKillsBefore
  await removeCgroup(live)
  context.live.delete(id)
  context.volumeMounts.release(id)
  recordExit(context, id, { exitCode, oomKilled, launch })
}

/** Rules that the kernel refuses are no reason to take what has ended for running. */
function leaveNetworks(context: Context, id: string): void {
  try {
    context.networks.left(id)
  } catch (error) {
    log.warn('ports of a container that has ended could not be taken back', { id, error })
  }
}

/** For a daemon that comes after this one, should it be killed before it is done with the exit. */
function noteExitCode(context: Context, id: string, exitCode: number): void {
  const record = context.containers.get(id)
  if (record !== undefined) context.containers.put(id, { ...record, exitCode })
}

/** Writes the end of a run into the record and applies the restart policy. */
export function recordExit(
  context: Context,
  id: string,
  {
    exitCode,
    oomKilled,
    launch,
  }: { readonly exitCode: number; readonly oomKilled: boolean; readonly launch: Launch },
): void {
  const record = context.containers.get(id)
  if (record === undefined) return
  const { pid, pidStartTime, ...rest } = record
  const ended: ContainerRecord = {
    ...rest,
    exitCode,
    oomKilled,
    state: 'exited',
    finishedAt: new Date().toISOString(),
    publishedPorts: [],
  }
  const restarts = restartsByPolicy(ended)
  // In one transaction: a daemon that comes after this one must neither miss the event nor tell it again.
  context.state.atomically(() => {
    context.containers.put(id, { ...ended, state: restarts ? 'restarting' : 'exited' })
    if (oomKilled) emitContainerEvent(context, ended, 'oom')
    emitContainerEvent(context, ended, 'die', { exitCode: String(exitCode) })
  })
  if (restarts) scheduleRestart(context, ended, launch)
  else if (ended.removeOnExit) void removeEnded(context, ended)
}

async function removeEnded(context: Context, { id, config }: ContainerRecord): Promise<void> {
  try {
    await context.locks.run(id, () => removeContainer(context, id))
  } catch (error) {
    log.warn('container could not be removed at its end', { container: config.name, error })
  }
}

/** Whether its restart policy has a container that has ended started again. */
export function restartsByPolicy(record: ContainerRecord): boolean {
  const { config, wanted, exitCode } = record
  const { condition, maxRetries = Infinity } = config.restart
  if (wanted !== 'running' || condition === 'no') return false
  if (condition === 'on-failure' && exitCode === 0) return false
  return restartsSoFar(record) < maxRetries
}

/** Those since somebody asked for the start, or since a run that lasted. */
function restartsSoFar({ config, startedAt, finishedAt, restartCount }: ContainerRecord): number {
  const ranMs = Date.parse(finishedAt ?? '') - Date.parse(startedAt ?? '')
  return ranMs > (config.restart.windowMs ?? STABLE_AFTER_MS) ? 0 : restartCount
}

/** Waits longer each time the container ends soon after its start. */
export function scheduleRestart(context: Context, record: ContainerRecord, launch: Launch): void {
  const { id } = record
  const restartCount = restartsSoFar(record)
  const { delayMs = restartDelay(restartCount) } = record.config.restart
  const begin = (): void => {
    context.restartTimers.delete(id)
    void context.locks.run(id, () =>
      restart(context, id, { restartCount: restartCount + 1, launch }),
    )
  }
  const timer = setTimeout(begin, Math.min(delayMs, LONGEST_TIMER_MS))
  timer.unref()
  context.restartTimers.set(id, timer)
}

/**
 * Milliseconds to wait before a restart: none before the first, then twice as long each time.
 * @param restartCount - of restarts since somebody asked for the start, or since a long run
 */
export function restartDelay(restartCount: number): number {
  return restartCount === 0 ? 0 : backOffMs(restartCount, BACK_OFF)
}

async function restart(
  context: Context,
  id: string,
  { restartCount, launch }: { readonly restartCount: number; readonly launch: Launch },
): Promise<void> {
  const record = context.containers.get(id)
  if (record?.state !== 'restarting' || record.wanted !== 'running') return
  context.containers.put(id, { ...record, restartCount })
  try {
    await launch(context, id)
  } catch (error) {
    log.warn('container could not be restarted', { container: record.config.name, error })
    const failed = context.containers.get(id)
    if (failed === undefined || !restartsByPolicy(failed)) return
    context.containers.put(id, { ...failed, state: 'restarting' })
    scheduleRestart(context, failed, launch)
  }
}

/** The kernel takes a moment to empty a cgroup whose pid namespace has died. */
async function removeCgroup(live: LiveContainer): Promise<void> {
  for (let attempt = 0; attempt < CGROUP_REMOVAL_TRIES; attempt++) {
    if (live.cgroup.remove()) return
    live.cgroup.killAll()
    const pauseMs = Math.min(
      FIRST_CGROUP_REMOVAL_PAUSE_MS * 2 ** attempt,
      MAX_CGROUP_REMOVAL_PAUSE_MS,
    )
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
  log.warn('cgroup could not be removed', { cgroup: live.cgroup.name })
}
