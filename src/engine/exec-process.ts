/** A further process in a running container: the namespaces are entered through a pidfd, no helper program is needed. */
import { Clone } from '../kernel/constants.ts'
import { blockSignals, cloneArguments, CLONE_ARGUMENTS_BYTES } from '../kernel/signal-mask.ts'
import { SyscallList } from '../kernel/syscall-list.ts'
import {
  appendBecomeRoot,
  appendExec,
  appendStdio,
  appendWrite,
  launch,
  type ProcessSpec,
} from './process-spec.ts'

export interface ExecRequest {
  /** Of the container's first process. */
  readonly pidfd: number
  readonly cgroupJoinFiles: readonly string[]
  /** CLONE_NEW… flags of the namespaces in which the container differs from the host. */
  readonly namespaces: number
  readonly process: ProcessSpec
}

/**
 * Runs a program in the container.
 * @returns its pid, as a child of this process
 * @throws {SyscallError} ESRCH when the container has exited, {FAILED_PRECONDITION} with exit code 126 or 127 when the program can't be executed
 */
export async function execProcess(request: ExecRequest): Promise<number> {
  const list = new SyscallList()
  const signals = blockSignals(list)
  const outer = Clone.VM | Clone.VFORK | Clone.CLEAR_SIGHAND
  const fork = list.fork('clone3', [cloneArguments(list, outer), CLONE_ARGUMENTS_BYTES])
  for (const file of request.cgroupJoinFiles) appendWrite(list, file, '0', { ignoreError: false })
  list.call('setns', [request.pidfd, request.namespaces], { target: 'container' })
  // setns changes the pid namespace of children only, so the program runs in a child that becomes the daemon's own.
  const pid = list.call('clone', [Clone.PARENT | Clone.VM | Clone.VFORK, 0, 0, 0, 0], {
    leaveParent: true,
  })
  if ((request.namespaces & Clone.NEWUSER) !== 0) appendBecomeRoot(list)
  appendStdio(list, request.process)
  const attempts = appendExec(list, request.process, signals)
  list.parent(fork, () => {
    signals.restore()
  })
  return launch(list, pid, attempts)
}
