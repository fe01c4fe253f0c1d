/**
 * A container whose first process an external OCI runtime starts (`runtime: crun`). The runtime gets a bundle, and runs in
 * the container's own control groups and namespaces, as root of its user namespace and no more:
 *
 *   daemon ──▶ outer leg, inner leg (two-legs.ts) ──▶ runtime ──▶ first process, which the daemon adopts
 *
 * The bundle is a tmpfs that only the runtime's mount namespace shows; with the runtime it is gone.
 */
import { chownSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import {
  Prctl,
  AT_FDCWD,
  Clone,
  MOVE_MOUNT_F_EMPTY_PATH,
  MountFlag,
} from '../../kernel/constants.ts'
import { mountFileSystem } from '../../kernel/detached-mount.ts'
import type { FdScope } from '../../kernel/fd-scope.ts'
import { syscall } from '../../kernel/libc.ts'
import { childrenOf, reap } from '../../kernel/process.ts'
import { watchChild } from '../../kernel/process-watch.ts'
import { TsstackError } from '../../errors.ts'
import { CAPABILITIES } from '../capabilities.ts'
import { appendBecomeRoot, type ProcessSpec } from '../process-spec.ts'
import {
  appendIdentity,
  appendMounts,
  appendOuterLeg,
  appendSysctls,
  type StartRequest,
} from '../start-container.ts'
import { runTwoLegs } from '../two-legs.ts'
import { bundleConfig, type BundleContent } from './bundle.ts'

/** Where the runtime finds its bundle. Every host has the directory; what the host has there is covered. */
const BUNDLE = '/run'
const ROOT = `${BUNDLE}/rootfs`
const RUNTIME_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const HYBRID = '/sys/fs/cgroup/unified'
const HELPER_LOOKS = 100
const HELPER_PAUSE_MS = 10
const NOT_FOUND = /executable file .* not found|No such file or directory/

export interface RuntimeRequest extends StartRequest {
  /** Of the program of the runtime. */
  readonly runtime: string
  readonly id: string
  /** Host id of the container's root. */
  readonly owner: number
  readonly bundle: Omit<BundleContent, 'rootPath' | 'process' | 'request'>
  readonly scope: FdScope
}

/**
 * @returns the pid of the container's first process, as a child of this process
 * @throws {FAILED_PRECONDITION} with what the runtime said, exit code 127 where the program is not in the image
 */
export async function runByRuntime(request: RuntimeRequest): Promise<number> {
  const { owner, scope, process: program } = request
  requireInstalled(request.runtime)
  const options = [
    ['mode', '0755'],
    ['uid', String(owner)],
    ['gid', String(owner)],
  ] as const
  const bundle = scope.add(mountFileSystem('tmpfs', options))
  syscall('mkdirat', bundle, 'rootfs', 0o755)
  const inBundle = (name: string): string => `/proc/self/fd/${String(bundle)}/${name}`
  for (const name of ['config.json', 'log']) {
    writeFileSync(inBundle(name), '')
    chownSync(inBundle(name), owner, owner)
  }
  const content = { ...request.bundle, rootPath: ROOT, process: program, request }
  writeFileSync(inBundle('config.json'), bundleConfig(content))
  // The first process outlives the runtime, and is to come to the daemon then.
  syscall('prctl', Prctl.SET_CHILD_SUBREAPER, 1, 0, 0, 0)
  const pid = await runTwoLegs({
    outer: (list) => {
      appendOuterLeg(list, request)
    },
    newNamespaces: (Clone.NEWNS | request.newNamespaces) & ~(Clone.NEWPID | Clone.NEWCGROUP),
    inner: (list) => {
      if (request.usernsFd !== undefined) appendBecomeRoot(list)
      appendSysctls(list, request)
      list.call('move_mount', [bundle, '', AT_FDCWD, BUNDLE, MOVE_MOUNT_F_EMPTY_PATH])
      // crun takes no v2 hierarchy beside those of v1, and needs none: it manages no groups here.
      list.call('mount', ['tmpfs', HYBRID, 'tmpfs', MountFlag.RDONLY, null], { ignoreError: true })
      appendMounts(list, { ...request, innerMounts: [] }, ROOT)
      appendIdentity(list, request)
    },
    process: runtimeProcess(request),
  })
  runtimes.add(pid)
  const status = await watchChild(pid).exited
  runtimes.delete(pid)
  await reapHelpers(request.runtime)
  if (status?.exitCode === 0) return Number(readFileSync(inBundle('pid'), 'utf8'))
  throw failure(request, readFileSync(inBundle('log'), 'utf8'))
}

/** Runtimes that are running now. */
const runtimes = new Set<number>()

/** A runtime leaves the children with whose help it makes namespaces to whoever adopts them; they end with it, or soon after. */
async function reapHelpers(runtime: string): Promise<void> {
  for (let look = 0; look < HELPER_LOOKS; look++) {
    const helpers = childrenOf(process.pid).filter(
      (pid) => !runtimes.has(pid) && readStat(pid).includes(` (${runtime}) `),
    )
    // One that runs may be a container's first process, on its way to its program.
    for (const pid of helpers) if (readStat(pid).includes(`(${runtime}) Z `)) reap(pid)
    if (helpers.length === 0) return
    await new Promise((resolve) => setTimeout(resolve, HELPER_PAUSE_MS))
  }
}

function readStat(pid: number): string {
  try {
    return readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
  } catch {
    return ''
  }
}

function requireInstalled(runtime: string): void {
  if (RUNTIME_PATH.split(':').some((directory) => existsSync(`${directory}/${runtime}`))) return
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot start the container by "${runtime}": it is not installed`,
    { hint: `apt-get install ${runtime}; or remove "runtime:"` },
  )
}

function runtimeProcess({ runtime, id, process: { stdio, rlimits } }: RuntimeRequest): ProcessSpec {
  const options = [
    '--root',
    `${BUNDLE}/state`,
    '--cgroup-manager=disabled',
    '--log',
    `${BUNDLE}/log`,
  ]
  const run = ['run', '--detach', '--bundle', BUNDLE, '--pid-file', `${BUNDLE}/pid`, id]
  return {
    argv: [runtime, ...options, ...run],
    environment: { PATH: RUNTIME_PATH },
    workingDir: '/',
    user: { uid: 0, gid: 0, groups: [], home: '/' },
    capabilities: CAPABILITIES.map((_, number) => number),
    noNewPrivileges: false,
    rlimits,
    stdio,
    tty: false,
  }
}

function failure({ runtime, process: { argv } }: RuntimeRequest, log: string): TsstackError {
  const said = log.trim().replaceAll('\n', '; ')
  const isMissing = NOT_FOUND.test(said)
  return new TsstackError(
    'FAILED_PRECONDITION',
    isMissing
      ? `Cannot execute "${argv[0] ?? ''}": it is not in the image`
      : `Cannot start the container by "${runtime}": ${said}`,
    { exitCode: isMissing ? 127 : 126 },
  )
}
