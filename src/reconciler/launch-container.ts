/**
 * Starting a container that exists: gathers what the rooms below make (root mount, volumes, cgroup, network, user
 * namespace), hands it to the engine as one request, and follows the process to its end. Whatever fails, nothing stays.
 */
import type { CgroupHandle } from '../engine/cgroup/cgroup.ts'
import { resolveUser } from '../engine/container-user.ts'
import { findDeviceNodes, type DeviceNode } from '../engine/host-devices.ts'
import type { InitSpec } from '../engine/process-spec.ts'
import { initProgram } from '../engine/init/program.ts'
import { buildRoot, openRoot, type BuiltRoot } from '../engine/root-file-system.ts'
import { runByRuntime, type RuntimeRequest } from '../engine/runtime/run-by-runtime.ts'
import { startContainer } from '../engine/start-container.ts'
import { Clone } from '../kernel/constants.ts'
import { FdScope } from '../kernel/fd-scope.ts'
import { openPipe } from '../kernel/pipe.ts'
import { processStartTime } from '../kernel/process.ts'
import { watchChild, type WatchedProcess } from '../kernel/process-watch.ts'
import { toTsstackError } from '../errors.ts'
import { handleExit } from './container-exit.ts'
import { etcFiles, secretFiles } from './container-files.ts'
import type { Context, LiveContainer } from './context.ts'
import { warmUp } from './first-listen.ts'
import { emitContainerEvent } from './container-event.ts'
import { monitorHealth } from './container-health.ts'
import { prepareSnapshot } from './container-snapshot.ts'
import { openStreams } from './container-streams.ts'
import { requireContainer } from './find-container.ts'
import { cgroupHierarchiesOf, firstProcess, identityOf } from './first-process.ts'
import { joinNamespaces, type IsolationOptions } from './join-namespaces.ts'
import { openSources } from './mount-sources.ts'
import { connectListeners } from './output-listeners.ts'
import { limitsWith } from './resource-limits-of.ts'
import { seccompProfile } from './security-profile.ts'
import { sharedMemorySource } from './shared-memory.ts'
import { userNamespaceOf } from './stack-user-namespace.ts'
import { syncNewRoot, syncStarted } from './sync-files.ts'
import type { ContainerRecord } from './records.ts'
import { lookAtSharers } from './shared-namespaces.ts'

/** As Docker: the container could not be started, for a reason other than its program. */
const START_FAILED_EXIT_CODE = 128

/** Starts a container; nothing to do when it runs. The caller holds the container's lock. */
export async function launchContainer(context: Context, id: string): Promise<void> {
  const record = requireContainer(context, id)
  const live = context.live.get(id)
  if (live !== undefined) {
    if (processStartTime(live.process.pid) === live.process.startTime) return
    await live.ended // it has ended, and that is being dealt with
  }
  clearTimeout(context.restartTimers.get(id))
  context.restartTimers.delete(id)
  try {
    await launch(context, record)
    if (record.startedAt !== undefined) lookAtSharers(context, id)
  } catch (error) {
    const failure = toTsstackError(error)
    const exitCode = failure.exitCode > 1 ? failure.exitCode : START_FAILED_EXIT_CODE
    const current = requireContainer(context, id)
    context.containers.put(id, {
      ...current,
      state: 'exited',
      exitCode,
      error: failure.message,
      finishedAt: new Date().toISOString(),
    })
    throw error
  }
}

async function launch(context: Context, record: ContainerRecord): Promise<void> {
  const scope = new FdScope()
  const undo: (() => void)[] = []
  try {
    const devices = findDeviceNodes(record.config.devices)
    const limits = limitsWith(record.config, devices)
    const cgroup = context.cgroups.create(cgroupName(record), limits)
    undo.push(() => {
      cgroup.remove()
      context.volumeMounts.release(record.id)
    })
    const position = context.syncJournal.position()
    const started = await startProcess(context, record, { cgroup, devices, scope, undo })
    noteStart(context, record, started)
    await syncStarted(context, record, position)
  } catch (error) {
    for (const step of undo.reverse()) step()
    throw error
  } finally {
    scope.close()
  }
}

/** In one transaction: whatever becomes of the daemon, an end that is told has had its start. */
function noteStart(context: Context, record: ContainerRecord, started: Started): void {
  const { publishedPorts, ...running } = started
  keepDescriptors(context, running)
  context.state.atomically(() => {
    recordStart(context, record.id, running.process, publishedPorts)
    const health = monitorHealth(context, record.id, { ...running, isNew: true })
    followProcess(context, { ...running, health })
    emitContainerEvent(context, record, 'start')
  })
  const live = context.live.get(record.id)
  if (live !== undefined && started.publishedPorts.length > 0) void warmUp(context, live)
}

/** Makes a process known as a container's, until it ends. */
export function followProcess(context: Context, running: Omit<LiveContainer, 'ended'>): void {
  const live: LiveContainer = {
    ...running,
    ended: running.process.exited.then((status) =>
      handleExit(context, { live, status, launch: launchContainer }),
    ),
  }
  context.live.set(live.id, live)
}

/**
 * For the next daemon, whose records may lack the container: then they are let go of. The input of a one-off is that of
 * its client, who goes with the daemon: were it held, its program would never see the end of it.
 */
export function keepDescriptors(
  context: Context,
  { id, process, io }: Pick<LiveContainer, 'id' | 'process' | 'io'>,
): void {
  const { stdin, ...output } = io.descriptors
  const isHeld = stdin !== undefined && context.containers.get(id)?.config.oneoff !== true
  context.kept.keep(id, { pidfd: process.pidfd, ...output, ...(isHeld ? { stdin } : {}) })
}

/** The cgroup of a container, below the engine's own. */
export function cgroupName(record: ContainerRecord): string {
  return `${record.config.stack}/${record.id}`
}

interface Resources {
  readonly cgroup: CgroupHandle
  readonly devices: readonly DeviceNode[]
  readonly scope: FdScope
  /** Run in reverse when the start fails. */
  readonly undo: (() => void)[]
}

/** A container whose first process has begun, of which nobody knows yet. */
interface Started extends Omit<LiveContainer, 'ended' | 'health'> {
  readonly publishedPorts: ContainerRecord['publishedPorts']
}

async function startProcess(
  context: Context,
  record: ContainerRecord,
  resources: Resources,
): Promise<Started> {
  const { config, id } = record
  const { cgroup, devices, scope, undo } = resources
  const userns = config.userNamespace ? userNamespaceOf(context, config.stack) : undefined
  context.networks.reserve(record)
  const root = await makeRoot(context, record, { userns, devices, scope })
  const join = await joinNamespaces(context, record, { userns, scope })
  const owner = userns?.range.start ?? 0
  const user = resolveUser(root.rootFd, config.user, config.additionalGroups, {
    hasHostIds: userns === undefined,
  })
  const io = openStreams(context, record, {
    devptsFd: root.devptsFd,
    terminalOwner: owner,
    uid: owner + user.uid,
    gid: owner + user.gid,
    scope,
  })
  undo.push(() => {
    io.io.close()
  })
  connectListeners(context, id, io.io)
  const publishedPorts = record.part === undefined ? context.networks.publish(record) : []
  undo.push(() => {
    context.networks.left(id)
  })
  const oomKillsBefore = cgroup.oomKills()
  const start = {
    ...root,
    ...identityOf(config),
    cgroupJoinFiles: cgroup.joinFiles,
    ...(config.oomScoreAdj === undefined ? {} : { oomScoreAdj: config.oomScoreAdj }),
    join: join.joined,
    ...(userns === undefined ? {} : { usernsFd: userns.fd }),
    newNamespaces: join.created | (config.cgroupNamespace === 'private' ? Clone.NEWCGROUP : 0),
    sysctls: config.sysctls,
    process: {
      ...firstProcess(config, user, io.stdio),
      ...(config.init ? { init: initOf(scope) } : {}),
    },
  }
  const { runtime } = config
  const pid = await (runtime === undefined
    ? startContainer(start)
    : startByRuntime(record, { ...start, runtime, owner, scope }))
  const process = watchChild(pid)
  return { id, process, io: io.io, cgroup, oomKillsBefore, publishedPorts }
}

function recordStart(
  context: Context,
  id: string,
  { pid, startTime }: WatchedProcess,
  publishedPorts: ContainerRecord['publishedPorts'],
): void {
  const { exitCode, error, finishedAt, ...rest } = requireContainer(context, id)
  context.containers.put(id, {
    ...rest,
    state: 'running',
    pid,
    pidStartTime: startTime,
    startedAt: new Date().toISOString(),
    seeded: true,
    oomKilled: false,
    publishedPorts,
  })
}

function startByRuntime(
  { id, config }: ContainerRecord,
  request: Omit<RuntimeRequest, 'id' | 'bundle'>,
): Promise<number> {
  const seccomp = seccompProfile(config)
  const bundle = {
    readOnlyRoot: config.readOnlyRoot,
    privileged: config.privileged,
    namespaces: config.cgroupNamespace === 'private' ? (['cgroup'] as const) : [],
    annotations: config.annotations,
    ...(seccomp === undefined ? {} : { seccomp }),
  }
  return runByRuntime({ ...request, id, bundle })
}

function initOf(scope: FdScope): InitSpec {
  const [readEnd, writeEnd] = openPipe()
  return { programFd: initProgram(), pipe: [scope.add(readEnd), scope.add(writeEnd)] }
}

async function makeRoot(
  context: Context,
  record: ContainerRecord,
  { userns, devices, scope }: IsolationOptions & { readonly devices: readonly DeviceNode[] },
): Promise<BuiltRoot> {
  const { config } = record
  const mount = await prepareSnapshot(context, record, userns?.range.start ?? 0)
  const root = openRoot(mount, userns, scope)
  await syncNewRoot(context, record, root)
  const mounted = await openSources(context, record, { root, userns, scope })
  const memory = await sharedMemorySource(context, record, scope)
  const sources = memory === undefined ? mounted : [...mounted, memory]
  return buildRoot(
    {
      config,
      root,
      ...(userns === undefined ? {} : { userns }),
      devices,
      sources,
      files: secretFiles(context, config),
      etcFiles: etcFiles(context, record),
      cgroupHierarchies: cgroupHierarchiesOf(context),
    },
    scope,
  )
}
