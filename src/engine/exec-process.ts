/** A further process in a running container: the namespaces are entered through a pidfd, no helper program is needed. */
import { Clone } from '../kernel/constants.ts'
import { appendBecomeRoot, appendWrite, type ProcessSpec } from './process-spec.ts'
import { runTwoLegs } from './two-legs.ts'

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
  return runTwoLegs({
    outer: (list) => {
      for (const file of request.cgroupJoinFiles)
        appendWrite(list, file, '0', { ignoreError: false })
      list.call('setns', [request.pidfd, request.namespaces], { target: 'container' })
    },
    newNamespaces: 0,
    inner: (list) => {
      if ((request.namespaces & Clone.NEWUSER) !== 0) appendBecomeRoot(list)
    },
    process: request.process,
  })
}
