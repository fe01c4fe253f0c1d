/**
 * The daemon's first work: makes the records true again after whatever happened to the daemon before. Containers that run
 * are taken over; what was half-made is undone or finished; what nobody knows of is removed.
 */
import { closeSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { openPipeIo, openTtyIo, prepareFifos, type ContainerIo } from '../engine/container-io.ts'
import { childrenOf, reap, type ExitStatus } from '../kernel/process.ts'
import { adoptProcess, exitInfo, watchChild } from '../kernel/process-watch.ts'
import { log } from '../log.ts'
import { sweepBuildNetwork } from './build-network.ts'
import { sweepRemoteContexts } from './build-remote-contexts.ts'
import { recordExit, UNKNOWN_EXIT_CODE } from './container-exit.ts'
import { monitorHealth } from './container-health.ts'
import type { Context } from './context.ts'
import { ioOptions } from './container-streams.ts'
import { cgroupName, followProcess, keepDescriptors, launchContainer } from './launch-container.ts'
import { ownerOfSnapshot } from './image-mounts.ts'
import type { RecoveredDescriptors } from './kept-descriptors.ts'
import { endRollouts } from './rollout/end-rollouts.ts'
import { connectListeners } from './output-listeners.ts'
import { hasProcess, type ContainerRecord } from './records.ts'
import { removeContainer } from './remove-container.ts'
import { resumeStarts } from './resume-starts.ts'
import { sharedMemoryNames } from './shared-memory.ts'
import { unpauseContainer } from './stop-container.ts'

const KILL_TRIES = 100
const KILL_PAUSE_MS = 10

/** Call once, before the first request is served. */
export async function adoptContainers(context: Context): Promise<void> {
  const recovered = context.kept.recover()
  await context.networks.restore(recovered)
  const ended = context.containers
    .values()
    .filter((record) => hasProcess(record) && !adopt(context, record, recovered))
  await sweepCgroups(context)
  for (const record of ended) finishRun(context, record, recovered)
  recovered.close()
  reapOthers(context)
  await sweepUnbegun(context)
  await sweepFiles(context)
  context.networks.sweep()
  sweepBuildNetwork(context)
  sweepRemoteContexts(context)
  void resume(context)
}

/** What takes its time; requests do not wait for it, but those for the same stack. */
async function resume(context: Context): Promise<void> {
  const results = await Promise.allSettled([resumeStarts(context), endRollouts(context)])
  for (const result of results)
    if (result.status === 'rejected')
      log.warn('not everything could be gone on with', { error: result.reason as unknown })
}

/** @returns false when its process is gone */
function adopt(
  context: Context,
  record: ContainerRecord,
  recovered: RecoveredDescriptors,
): boolean {
  const process =
    record.pid === undefined ? undefined : adoptProcess(record.pid, record.pidStartTime ?? 0)
  if (process === undefined) return false
  if (record.wanted === 'restarted')
    // its restart was cut short, and it goes on
    context.containers.put(record.id, { ...record, wanted: 'running' })
  const cgroup = context.cgroups.open(cgroupName(record))
  const io = reopenIo(context, record, recovered)
  connectListeners(context, record.id, io)
  if (record.config.oneoff) io.endInput() // its client has gone with the last daemon
  const oomKillsBefore = cgroup.oomKills()
  const running = { id: record.id, process, io, cgroup, oomKillsBefore }
  const health = monitorHealth(context, record.id, { ...running, isNew: false })
  keepDescriptors(context, running)
  followProcess(context, { ...running, health })
  if (record.pausedBriefly === true) unpauseContainer(context, record.id)
  if (record.part === undefined) context.networks.adopt(record)
  const volumes = record.config.mounts.flatMap((mount) =>
    mount.kind === 'volume' ? [mount.volume] : [],
  )
  const held = [...volumes, ...sharedMemoryNames(context, record)]
  context.volumeMounts.adopt(record.id, held, recovered)
  return true
}

/** Fifos are found by their path, a terminal only by its descriptor. */
function reopenIo(
  context: Context,
  record: ContainerRecord,
  recovered: RecoveredDescriptors,
): ContainerIo {
  const terminal = record.config.tty ? recovered.take(record.id, 'terminal') : undefined
  const options = ioOptions(context, record)
  if (terminal !== undefined) {
    try {
      return openTtyIo(terminal, options)
    } catch (error) {
      log.warn('terminal could not be taken back', { container: record.config.name, error })
      closeSync(terminal)
    }
  }
  if (record.config.tty) prepareFifos(options, { uid: 0, gid: 0 }) // its terminal is lost: nothing will come
  return openPipeIo(options)
}

/** It ended while no daemon was there: take what is left of its output, and let its restart policy decide. */
function finishRun(
  context: Context,
  record: ContainerRecord,
  recovered: RecoveredDescriptors,
): void {
  context.networks.left(record.id)
  reopenIo(context, record, recovered).close()
  const pidfd = recovered.take(record.id, 'pidfd')
  const status = statusOf(record, pidfd)
  if (pidfd !== undefined) closeSync(pidfd)
  recordExit(context, record.id, {
    exitCode: status?.exitCode ?? record.exitCode ?? UNKNOWN_EXIT_CODE,
    oomKilled: false,
    launch: launchContainer,
  })
}

/** A daemon that was renewed in place reaps its own children; for others the pidfd knows. */
function statusOf({ pid }: ContainerRecord, pidfd: number | undefined): ExitStatus | undefined {
  const reaped = pid === undefined ? undefined : reap(pid)
  return reaped ?? (pidfd === undefined ? undefined : exitInfo(pidfd))
}

/** Sessions and probes of the daemon that this one has replaced in place: nobody else would reap them. */
function reapOthers(context: Context): void {
  const adopted = new Set([...context.live.values()].map(({ process }) => process.pid))
  for (const pid of childrenOf(process.pid)) if (!adopted.has(pid)) watchChild(pid)
}

/** Processes in a cgroup of ours that no running container explains: a start that was cut short. */
async function sweepCgroups(context: Context): Promise<void> {
  const known = new Set([...context.live.values()].map((live) => live.cgroup.name))
  for (const name of context.cgroups.list().filter((candidate) => !known.has(candidate))) {
    const cgroup = context.cgroups.open(name)
    for (let attempt = 0; attempt < KILL_TRIES && !cgroup.remove(); attempt++) {
      cgroup.killAll()
      await new Promise((resolve) => setTimeout(resolve, KILL_PAUSE_MS))
    }
    log.info('cgroup swept', { cgroup: name })
  }
}

/** Made for one run, by `run --rm` or for a hook, which the daemon before did not come to begin: nobody will. */
async function sweepUnbegun(context: Context): Promise<void> {
  const left = context.containers
    .values()
    .filter(
      ({ state, removeOnExit }) => removeOnExit && (state === 'created' || state === 'exited'),
    )
  for (const { id } of left) await context.locks.run(id, () => removeContainer(context, id))
}

async function sweepFiles(context: Context): Promise<void> {
  for (const key of context.snapshotter.list()) {
    if (context.containers.get(ownerOfSnapshot(key)) === undefined)
      await context.snapshotter.remove(key)
  }
  for (const id of readdirSync(context.directories.containers)) {
    if (context.containers.get(id) === undefined) {
      rmSync(path.join(context.directories.containers, id), { recursive: true, force: true })
    }
  }
}
