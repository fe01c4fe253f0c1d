/**
 * Starting a container that exists: gathers what the rooms below make (root mount, volumes, cgroup, network, user
 * namespace), hands it to the engine as one request, and follows the process to its end. Whatever fails, nothing stays.
 */
import { mkdirSync, openSync } from 'node:fs'
import path from 'node:path'
import type { CgroupHandle } from '../engine/cgroup/cgroup.ts'
import type { ContainerConfig, NamespaceMode } from '../engine/container-config.ts'
import { openContainerEnds, openPipeIo, openTtyIo, prepareFifos, type ContainerIo, type IoOptions } from '../engine/container-io.ts'
import { resolveUser } from '../engine/container-user.ts'
import { openTerminal } from '../engine/device-tree.ts'
import { rlimitsOf } from '../engine/rlimits.ts'
import { buildRoot, openRoot, type BuiltRoot } from '../engine/root-file-system.ts'
import { startContainer, type JoinedNamespace } from '../engine/start-container.ts'
import type { StackUserNamespace } from '../engine/user-namespace.ts'
import { Clone } from '../kernel/constants.ts'
import { FdScope } from '../kernel/fd-scope.ts'
import { createNetworkSandbox } from '../kernel/namespaces.ts'
import { watchChild } from '../kernel/process-watch.ts'
import { TsstackError, toTsstackError } from '../errors.ts'
import { handleExit } from './container-exit.ts'
import { etcFiles, secretFiles } from './container-files.ts'
import type { Context, LiveContainer } from './context.ts'
import { emitContainerEvent } from './container-event.ts'
import { monitorHealth } from './container-health.ts'
import { openSources } from './mount-sources.ts'
import { connectListeners } from './output-listeners.ts'
import { securityProfile } from './security-profile.ts'
import { userNamespaceOf } from './stack-user-namespace.ts'
import type { ContainerRecord } from './records.ts'

/** Starts a container; nothing to do when it runs. The caller holds the container's lock. */
export async function launchContainer(context: Context, id: string): Promise<void> {
  const record = requireContainer(context, id)
  if (context.live.has(id)) return
  clearTimeout(context.restartTimers.get(id))
  context.restartTimers.delete(id)
  try {
    await launch(context, record)
  } catch (error) {
    const { message } = toTsstackError(error)
    const exitCode = error instanceof Error && 'exitCode' in error ? (error.exitCode as number) : 128
    const current = requireContainer(context, id)
    context.containers.put(id, { ...current, state: 'exited', exitCode, error: message, finishedAt: new Date().toISOString() })
    throw error
  }
}

/** @throws {NOT_FOUND} */
export function requireContainer(context: Context, id: string): ContainerRecord {
  const record = context.containers.get(id)
  if (record !== undefined) return record
  throw new TsstackError('NOT_FOUND', `Cannot find container "${id}"`)
}

async function launch(context: Context, record: ContainerRecord): Promise<void> {
  const scope = new FdScope()
  const undo: (() => void)[] = []
  try {
    const cgroup = context.cgroups.create(cgroupName(record), record.config.resources)
    undo.push(() => { cgroup.remove() })
    followProcess(context, await startProcess(context, record, { cgroup, scope, undo }))
    emitContainerEvent(context, record, 'start')
  } catch (error) {
    for (const step of undo.reverse()) step()
    throw error
  } finally {
    scope.close()
  }
}

/** Makes a process known as a container's, until it ends. */
export function followProcess(context: Context, running: Omit<LiveContainer, 'ended'>): void {
  const live: LiveContainer = {
    ...running,
    ended: running.process.exited.then((status) => handleExit(context, live, status)),
  }
  context.live.set(live.id, live)
  context.kept.keep(live.id, { pidfd: live.process.pidfd, ...live.io.descriptors })
}

/** The cgroup of a container, below the engine's own. */
export function cgroupName(record: ContainerRecord): string {
  return `${record.config.stack}/${record.id}`
}

interface Resources {
  readonly cgroup: CgroupHandle
  readonly scope: FdScope
  /** Run in reverse when the start fails. */
  readonly undo: (() => void)[]
}

async function startProcess(context: Context, record: ContainerRecord, resources: Resources): Promise<Omit<LiveContainer, 'ended'>> {
  const { config, id } = record
  const { cgroup, scope, undo } = resources
  const userns = config.userNamespace ? userNamespaceOf(context, config.stack) : undefined
  const root = await makeRoot(context, record, { userns, scope })
  const join = await joinNamespaces(context, record, { userns, scope })
  const owner = userns?.range.start ?? 0
  const user = resolveUser(root.rootFd, config.user, config.additionalGroups)
  const io = openIo(context, record, { devptsFd: root.devptsFd, terminalOwner: owner, uid: owner + user.uid, gid: owner + user.gid, scope })
  undo.push(() => { io.io.close() })
  connectListeners(context, id, io.io)
  const publishedPorts = context.networks.publish(record)
  undo.push(() => { context.networks.unpublish(id) })
  const oomKillsBefore = cgroup.oomKills()
  const pid = await startContainer({
    ...root,
    ...identityOf(config),
    cgroupJoinFiles: cgroup.joinFiles,
    ...(config.oomScoreAdj === undefined ? {} : { oomScoreAdj: config.oomScoreAdj }),
    join: join.joined,
    ...(userns === undefined ? {} : { usernsFd: userns.fd }),
    newNamespaces: join.created | Clone.NEWCGROUP,
    sysctls: config.sysctls,
    process: {
      argv: config.argv,
      environment: { HOME: user.home, ...config.environment },
      workingDir: config.workingDir,
      user,
      ...securityProfile(config),
      rlimits: rlimitsOf(config.ulimits),
      stdio: io.stdio,
      tty: config.tty,
    },
  })
  const process = watchChild(pid)
  const current = requireContainer(context, id)
  const { exitCode: _exitCode, error: _error, finishedAt: _finishedAt, ...rest } = current
  context.containers.put(id, {
    ...rest, state: 'running', pid, pidStartTime: process.startTime, startedAt: new Date().toISOString(),
    seeded: true, oomKilled: false, publishedPorts,
  })
  const health = monitorHealth(context, id, { process, cgroup, isNew: true })
  return { id, process, io: io.io, cgroup, health, oomKillsBefore }
}

interface IsolationOptions {
  readonly userns: StackUserNamespace | undefined
  readonly scope: FdScope
}

async function makeRoot(context: Context, record: ContainerRecord, { userns, scope }: IsolationOptions): Promise<BuiltRoot> {
  const { config } = record
  const ids = { uid: userns?.range.start ?? 0, gid: userns?.range.start ?? 0 }
  const mount = await context.snapshotter.prepare(record.id, context.images.inspect(config.image.id), ids)
  const root = openRoot(mount, userns, scope)
  const sources = await openSources(context, record, { root, offset: ids.uid })
  return buildRoot(
    {
      config,
      root,
      ...(userns === undefined ? {} : { userns }),
      sources,
      files: secretFiles(context, config),
      etcFiles: etcFiles(context, record),
      cgroupHierarchies: context.cgroups.version === 2 ? ['unified'] : CGROUP_V1_VIEW,
    },
    scope,
  )
}

/** What programs look at to learn their limits. */
const CGROUP_V1_VIEW = ['memory', 'cpu', 'cpuacct', 'cpuset', 'pids', 'blkio']

function identityOf(config: ContainerConfig): { hostname?: string; domainname?: string } {
  if (config.uts.kind !== 'private') return {}
  return { hostname: config.hostname, ...(config.domainname === undefined ? {} : { domainname: config.domainname }) }
}

interface IoRequest {
  readonly devptsFd: number
  readonly terminalOwner: number
  readonly uid: number
  readonly gid: number
  readonly scope: FdScope
}

function openIo(context: Context, record: ContainerRecord, request: IoRequest): { io: ContainerIo; stdio: [number, number, number] } {
  const options = ioOptions(context, record)
  mkdirSync(options.directory, { recursive: true, mode: 0o700 })
  if (record.config.tty) {
    const { masterFd, slaveFd } = openTerminal(request.devptsFd, request.terminalOwner)
    request.scope.add(slaveFd)
    return { io: openTtyIo(masterFd, options), stdio: [slaveFd, slaveFd, slaveFd] }
  }
  prepareFifos(options, request)
  const io = openPipeIo(options)
  return { io, stdio: openContainerEnds(options, request.scope) }
}

/** Where a container's streams and log are. */
export function ioOptions(context: Context, record: ContainerRecord): IoOptions {
  const { stdinOpen, logging } = record.config
  return { directory: path.join(context.directories.containers, record.id), bounds: logging, stdinOpen }
}

/** Namespaces to enter, and CLONE_NEW… flags of those to make. */
async function joinNamespaces(
  context: Context,
  record: ContainerRecord,
  { userns, scope }: IsolationOptions,
): Promise<{ joined: JoinedNamespace[]; created: number }> {
  const { config } = record
  const joined: JoinedNamespace[] = []
  let created = 0
  const consider = (mode: NamespaceMode, flag: number, file: string): void => {
    if (mode.kind === 'private') created |= flag
    if (mode.kind === 'container') joined.push({ flag, fd: scope.add(openNamespace(context, mode.container, file)) })
  }
  consider(config.ipc, Clone.NEWIPC, 'ipc')
  consider(config.uts, Clone.NEWUTS, 'uts')
  consider(config.pid, Clone.NEWPID, 'pid')
  const network = config.networkMode
  if (network.kind === 'container') {
    joined.push({ flag: Clone.NEWNET, fd: scope.add(openNamespace(context, network.container, 'net')) })
  }
  if (network.kind === 'endpoints' || network.kind === 'none') {
    const sandbox = await createNetworkSandbox(userns?.fd)
    try {
      context.networks.attach(sandbox, record)
      scope.add(sandbox.netlinkFd)
      joined.push({ flag: Clone.NEWNET, fd: scope.add(sandbox.netnsFd) })
    } catch (error) {
      sandbox.close()
      throw error
    }
  }
  return { joined, created }
}

function openNamespace(context: Context, containerId: string, file: string): number {
  const live = context.live.get(containerId)
  if (live === undefined) {
    const name = context.containers.get(containerId)?.config.name ?? containerId
    throw new TsstackError('FAILED_PRECONDITION', `Cannot share the ${file} namespace of "${name}": it does not run`)
  }
  return openSync(`/proc/${live.process.pid}/ns/${file}`, 'r')
}

