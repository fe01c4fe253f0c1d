/** exec: a program in a running container, with the container's own privileges unless asked otherwise. */
import { closeSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import type { TerminalSize } from '../engine/device-tree.ts'
import { resolveUser } from '../engine/container-user.ts'
import {
  openContainerRoot,
  openExecSession,
  type ExecSession,
  type ExecSessionRequest,
} from '../engine/exec-session.ts'
import { rlimitsOf } from '../engine/rlimits.ts'
import type { ContainerConfig } from '../engine/container-config.ts'
import { Clone } from '../kernel/constants.ts'
import { SyscallError } from '../kernel/libc.ts'
import type { WatchedProcess } from '../kernel/process-watch.ts'
import { TsstackError } from '../errors.ts'
import type { Context, LiveContainer } from './context.ts'
import type { ContainerRecord } from './records.ts'
import { requireContainer } from './find-container.ts'
import { whileJoining } from './joining.ts'
import { securityProfile } from './security-profile.ts'

const DYING_MS = 200

export interface ContainerExec {
  readonly command: readonly string[]
  readonly tty?: boolean
  readonly stdin?: boolean
  readonly user?: string
  readonly workingDir?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly privileged?: boolean
  readonly terminalSize?: TerminalSize
  /** Given where the container is not in the table yet. */
  readonly running?: Pick<LiveContainer, 'process' | 'cgroup'>
}

/** @throws {FAILED_PRECONDITION} when the container does not run or the program can't be executed */
export async function openContainerExec(
  context: Context,
  id: string,
  exec: ContainerExec,
): Promise<ExecSession> {
  const record = requireContainer(context, id)
  const running = exec.running ?? context.live.get(id)
  if (running === undefined || record.state === 'paused') {
    const state = record.state === 'paused' ? 'paused' : 'not running'
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot execute in container "${record.config.name}": it is ${state}`,
    )
  }
  try {
    const request = sessionRequest(context, record, { exec, running })
    return await whileJoining(running.cgroup.name, () => openExecSession(request))
  } catch (error) {
    // Half-way in its /proc entries, its cgroup or its namespaces may have been gone.
    if (!(error instanceof SyscallError) || !(await endsSoon(running.process))) throw error
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot execute in container "${record.config.name}": it is not running`,
      { cause: error },
    )
  }
}

/** A process that is dying is noticed a moment later than by who wants to join it. */
async function endsSoon({ exited }: WatchedProcess): Promise<boolean> {
  const timeout = new AbortController()
  const ended = exited.then(() => true)
  const notYet = setTimeout(DYING_MS, false, { signal: timeout.signal }).catch(() => false)
  const result = await Promise.race([ended, notYet])
  timeout.abort()
  return result
}

interface ExecInto {
  readonly exec: ContainerExec
  readonly running: Pick<LiveContainer, 'process' | 'cgroup'>
}

function sessionRequest(
  context: Context,
  { config }: ContainerRecord,
  { exec, running }: ExecInto,
): ExecSessionRequest {
  const { pid, pidfd } = running.process
  const user = userOf(config, pid, exec.user)
  return {
    pidfd,
    cgroupJoinFiles: running.cgroup.joinFiles,
    namespaces: namespacesOf(config),
    containerPid: pid,
    terminalOwner: config.userNamespace ? (context.stacks.get(config.stack)?.idRangeStart ?? 0) : 0,
    stdin: exec.stdin ?? false,
    ...(exec.terminalSize === undefined ? {} : { terminalSize: exec.terminalSize }),
    process: {
      argv: exec.command,
      environment: {
        HOME: user.home,
        ...config.environment,
        ...(exec.tty === true ? { TERM: 'xterm' } : {}),
        ...exec.environment,
      },
      workingDir: exec.workingDir ?? config.workingDir,
      user,
      ...securityProfile(
        exec.privileged === true ? { ...config, privileged: true, seccomp: 'unconfined' } : config,
      ),
      rlimits: rlimitsOf(config.ulimits),
      tty: exec.tty ?? false,
    },
  }
}

function userOf(
  config: ContainerConfig,
  pid: number,
  user: string | undefined,
): ReturnType<typeof resolveUser> {
  const root = openContainerRoot(pid)
  try {
    return resolveUser(root, user ?? config.user, config.additionalGroups, {
      hasHostIds: !config.userNamespace,
    })
  } finally {
    closeSync(root)
  }
}

/** Those in which the container is not the host: entering one that is already ours would fail or be needless. */
function namespacesOf(config: ContainerConfig): number {
  return (
    Clone.NEWNS |
    Clone.NEWCGROUP |
    (config.userNamespace ? Clone.NEWUSER : 0) |
    (config.networkMode.kind === 'host' ? 0 : Clone.NEWNET) |
    (config.ipc.kind === 'host' ? 0 : Clone.NEWIPC) |
    (config.uts.kind === 'host' ? 0 : Clone.NEWUTS) |
    (config.pid.kind === 'host' ? 0 : Clone.NEWPID)
  )
}
