/**
 * RUN of a build: a program in a container that lives as long as it does. What isolates it is what isolates any other
 * container (launch-container.ts); it has no record, no log and no restart, and its root is the draft of a layer.
 */
import { randomBytes } from 'node:crypto'
import { rmdirSync, rmSync, lstatSync, closeSync, openSync } from 'node:fs'
import { Socket } from 'node:net'
import type { RunStep, StepMount } from '../builder/build-input.ts'
import type { CgroupHandle } from '../engine/cgroup/cgroup.ts'
import type { ContainerConfig } from '../engine/container-config.ts'
import type { ContainerRoot } from '../engine/container-root.ts'
import { resolveUser } from '../engine/container-user.ts'
import type { TreeFile } from '../engine/file-tree.ts'
import type { MountSource } from '../engine/host-mount.ts'
import { buildRoot, openRoot } from '../engine/root-file-system.ts'
import { startContainer } from '../engine/start-container.ts'
import type { StackUserNamespace } from '../engine/user-namespace.ts'
import { Clone, O_DIRECTORY, Open } from '../kernel/constants.ts'
import { FdScope } from '../kernel/fd-scope.ts'
import { RESOLVE, tryOpenConfined } from '../kernel/file-calls.ts'
import { syscall } from '../kernel/libc.ts'
import { openPipe } from '../kernel/pipe.ts'
import { watchChild } from '../kernel/process-watch.ts'
import { stepConfig } from './build-run-config.ts'
import { layersSource } from './build-run-mounts.ts'
import { openBindOwner } from './bind-owner.ts'
import { etcFiles } from './container-files.ts'
import { cgroupHierarchiesOf, firstProcess, identityOf } from './first-process.ts'
import type { Context } from './context.ts'
import { joinNamespaces } from './join-namespaces.ts'
import { limitsWith } from './resource-limits-of.ts'
import type { ContainerRecord } from './records.ts'

export interface BuildRunner {
  readonly context: Context
  /** Of the whole build. */
  readonly userns: StackUserNamespace
  /** The network of steps that ask for none in particular. */
  readonly network: () => Promise<string>
}

const KILL_TRIES = 250
const KILL_PAUSE_MS = 20

/** @returns the exit code of the program; 255 when it could not be learned */
export async function runBuildStep(runner: BuildRunner, step: RunStep): Promise<number> {
  const { context } = runner
  const id = randomBytes(32).toString('hex')
  const network = step.network === 'default' ? await runner.network() : step.network
  const record = recordOf(id, stepConfig(step, { id, network }))
  const scope = new FdScope()
  const cgroup = context.cgroups.create(`build/${id}`, limitsWith(record.config, []))
  try {
    const run = { runner, record, step, scope, cgroup }
    const stubs = await startStep(run)
    removeStubs(step.draft.content.path, stubs.missing)
    return stubs.exitCode
  } finally {
    scope.close()
    await emptyCgroup(cgroup)
    context.networks.release(id)
  }
}

interface Run {
  readonly runner: BuildRunner
  readonly record: ContainerRecord
  readonly step: RunStep
  readonly scope: FdScope
  readonly cgroup: CgroupHandle
}

function recordOf(id: string, config: ContainerConfig): ContainerRecord {
  const none = { fields: {}, replaceHash: '', updateHash: '', dependsOn: [] }
  return {
    ...{ id, config, ...none, state: 'created', wanted: 'running', removeOnExit: true },
    ...{ createdAt: new Date().toISOString(), oomKilled: false, restartCount: 0 },
    ...{ seeded: true, publishedPorts: [], anonymousVolumes: {} },
  }
}

interface Ended {
  readonly exitCode: number
  /** Paths in the root that were made only to mount something there. */
  readonly missing: readonly string[]
}

async function startStep(run: Run): Promise<Ended> {
  const { runner, record, step, scope, cgroup } = run
  const { context } = runner
  const { config } = record
  const userns = config.userNamespace ? runner.userns : undefined
  context.networks.reserve(record)
  const root = openRoot(step.draft.mount, userns, scope)
  const files = secretFilesOf(step.mounts)
  const etc = etcFiles(context, record)
  const targets = [...step.mounts, ...etc].map(({ target }) => target)
  const missing = missingPaths(root, [...KERNEL_TARGETS, ...targets])
  const built = buildRoot(
    {
      config,
      root,
      ...(userns === undefined ? {} : { userns }),
      devices: [],
      sources: sourcesOf(run, userns),
      files,
      etcFiles: etc,
      cgroupHierarchies: cgroupHierarchiesOf(context),
    },
    scope,
  )
  const join = await joinNamespaces(context, record, { userns, scope })
  const user = resolveUser(built.rootFd, config.user, [])
  const owner = userns?.range.start ?? 0
  const output = openOutput(step, { uid: owner + user.uid, gid: owner + user.gid, scope })
  const pid = await startContainer({
    ...built,
    ...identityOf(config),
    cgroupJoinFiles: cgroup.joinFiles,
    join: join.joined,
    ...(userns === undefined ? {} : { usernsFd: userns.fd }),
    newNamespaces: join.created | Clone.NEWCGROUP,
    sysctls: {},
    process: firstProcess(config, user, output.stdio),
  })
  scope.close() // the writing end of the pipe above all: then it ends with the last process
  return { exitCode: await followStep(run, pid, output.ended), missing }
}

/** Its first process decides; what it leaves behind ends with it. */
async function followStep(
  { step, cgroup }: Run,
  pid: number,
  outputEnded: Promise<void>,
): Promise<number> {
  const kill = (): void => {
    cgroup.killAll()
  }
  step.signal.addEventListener('abort', kill)
  if (step.signal.aborted) kill()
  try {
    const status = await watchChild(pid).exited
    cgroup.killAll()
    await outputEnded
    return status?.exitCode ?? 255
  } finally {
    step.signal.removeEventListener('abort', kill)
  }
}

async function emptyCgroup(cgroup: CgroupHandle): Promise<void> {
  for (let attempt = 0; attempt < KILL_TRIES && !cgroup.remove(); attempt++) {
    cgroup.killAll()
    await new Promise((resolve) => setTimeout(resolve, KILL_PAUSE_MS))
  }
}

/** Standard output and error are one pipe, so that lines stay in order; the program's user may open it again. */
function openOutput(
  step: RunStep,
  { uid, gid, scope }: { readonly uid: number; readonly gid: number; readonly scope: FdScope },
): { readonly stdio: [number, number, number]; readonly ended: Promise<void> } {
  const [readEnd, writeEnd] = openPipe()
  scope.add(writeEnd)
  syscall('fchown', writeEnd, uid, gid)
  const socket = new Socket({ fd: readEnd, readable: true, writable: false })
  const ended = new Promise<void>((resolve) => {
    socket.on('close', () => {
      resolve()
    })
  })
  socket.on('data', step.onOutput)
  socket.on('error', () => socket.destroy())
  const input = scope.add(openSync('/dev/null', Open.RDWR | Open.CLOEXEC))
  return { stdio: [input, writeEnd, writeEnd], ended }
}

function secretFilesOf(mounts: readonly StepMount[]): TreeFile[] {
  return mounts.flatMap((mount) => {
    if (mount.kind !== 'secret') return []
    const { target, content, mode, uid, gid } = mount
    return [{ target, content, mode, uid, gid }]
  })
}

function sourcesOf(
  { runner, record, step, scope }: Run,
  userns: StackUserNamespace | undefined,
): MountSource[] {
  const start = userns?.range.start ?? 0
  const attachIn = runner.context.directories.layers
  return step.mounts.flatMap((mount): MountSource[] => {
    const { target } = mount
    const own = record.config.mounts.find((candidate) => candidate.target === target)
    if (own === undefined || mount.kind === 'secret') return []
    if (mount.kind === 'tmpfs') return [{ mount: own }]
    if (mount.kind === 'layers') return [layersSource(mount, own, { userns, scope, attachIn })]
    const { source } = mount
    const isUsers = mount.kind === 'socket' || mount.isUsers
    const idMap = isUsers ? openBindOwner('folder', source, { start, scope }) : undefined
    return [{ mount: own, path: source, ...(idMap === undefined ? {} : { idMap }) }]
  })
}

const KERNEL_TARGETS = ['/proc', '/sys', '/dev', '/dev/pts', '/dev/shm', '/dev/mqueue']

/** Of these paths and the directories above them, those that are not there. The shortest first. */
function missingPaths(root: ContainerRoot, targets: readonly string[]): string[] {
  const prefixes = targets.flatMap((target) => {
    const parts = target.split('/').filter((part) => part !== '')
    return parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`)
  })
  return [...new Set(prefixes)]
    .filter((prefix) => {
      const fd = tryOpenConfined(root.fd, prefix, { flags: Open.PATH, resolve: RESOLVE.IN_ROOT })
      if (fd >= 0) closeSync(fd)
      return fd < 0
    })
    .sort((a, b) => a.length - b.length)
}

/** Takes away what was made to mount something there, if the step has left it empty: it is no part of the layer. */
function removeStubs(written: string, missing: readonly string[]): void {
  const flags = Open.PATH | O_DIRECTORY
  const root = openSync(written, flags)
  try {
    for (const stub of missing.toReversed()) removeStub(root, stub.slice(1))
  } finally {
    closeSync(root)
  }
}

function removeStub(root: number, stub: string): void {
  const slash = stub.lastIndexOf('/')
  const resolve = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS
  const how = { flags: Open.PATH | O_DIRECTORY, resolve }
  const parent = tryOpenConfined(root, slash < 0 ? '.' : stub.slice(0, slash), how)
  if (parent < 0) return
  try {
    const at = `/proc/self/fd/${parent}/${stub.slice(slash + 1)}`
    const stats = lstatSync(at, { throwIfNoEntry: false })
    if (stats?.isDirectory() === true) rmdirSync(at)
    else if (stats?.isFile() === true && stats.size === 0) rmSync(at)
  } catch {
    // It is not empty: the step has made something of it.
  } finally {
    closeSync(parent)
  }
}
