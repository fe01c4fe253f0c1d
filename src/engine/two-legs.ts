/**
 * A program in other namespaces, by one list of system calls with two legs:
 *
 *   daemon ──clone3(VM|VFORK)──▶ outer leg                 joins cgroups and namespaces, the user namespace last
 *                                   │
 *                                   └──clone(PARENT|VM|VFORK|NEW…)──▶ inner leg: becomes the program
 *
 * Two, because a pid namespace holds only for children of the one who enters or makes it. The outer leg leaves as soon as
 * the inner one has executed its program; the inner one is the daemon's own child.
 */
import { Clone } from '../kernel/constants.ts'
import { reap } from '../kernel/process.ts'
import { blockSignals, cloneArguments, CLONE_ARGUMENTS_BYTES } from '../kernel/signal-mask.ts'
import { SyscallList } from '../kernel/syscall-list.ts'
import {
  appendExec,
  appendRaisedLimits,
  appendStdio,
  explainExecFailure,
  type ProcessSpec,
} from './process-spec.ts'

export interface TwoLegs {
  readonly outer: (list: SyscallList) => void
  /** CLONE_NEW… flags of the namespaces that the inner leg makes. */
  readonly newNamespaces: number
  /** Before standard streams, limits and execve, which are appended from `process`. */
  readonly inner: (list: SyscallList) => void
  readonly process: ProcessSpec
}

/**
 * @returns the pid of the program, as a child of this process
 * @throws {SyscallError} naming the call that failed, {FAILED_PRECONDITION} with exit code 126 or 127 when the program
 * can't be executed
 */
export async function runTwoLegs({
  outer,
  newNamespaces,
  inner,
  process,
}: TwoLegs): Promise<number> {
  const list = new SyscallList()
  const signals = blockSignals(list)
  const flags = Clone.VM | Clone.VFORK
  const outerArguments = cloneArguments(list, flags | Clone.CLEAR_SIGHAND)
  const fork = list.fork('clone3', [outerArguments, CLONE_ARGUMENTS_BYTES])
  appendRaisedLimits(list, process)
  outer(list)
  const clone = [Clone.PARENT | flags | newNamespaces, 0, 0, 0, 0]
  const program = list.call('clone', clone, { leaveParent: true, target: 'namespaces' })
  inner(list)
  appendStdio(list, process)
  const attempts = appendExec(list, process, signals)
  list.parent(fork, () => {
    signals.restore()
  })
  try {
    await list.run()
    return list.result(program)
  } catch (error) {
    if (list.result(program) > 0) reap(list.result(program), { block: true })
    throw explainExecFailure(error, list, attempts)
  } finally {
    if (list.forkedPid() > 0) reap(list.forkedPid(), { block: true })
    list.free()
  }
}
