/** Which namespaces a container has of its own, and which it shares. */
import { openSync } from 'node:fs'
import type { NamespaceMode } from '../engine/container-config.ts'
import type { JoinedNamespace } from '../engine/start-container.ts'
import type { StackUserNamespace } from '../engine/user-namespace.ts'
import { Clone } from '../kernel/constants.ts'
import type { FdScope } from '../kernel/fd-scope.ts'
import { createNetworkSandbox } from '../kernel/namespaces.ts'
import { TsstackError } from '../errors.ts'
import type { Context } from './context.ts'
import type { ContainerRecord } from './records.ts'

export interface IsolationOptions {
  /** Absent: the host's ids. */
  readonly userns: StackUserNamespace | undefined
  /** Owns the descriptors that are opened. */
  readonly scope: FdScope
}

/** Namespaces to enter, and CLONE_NEW… flags of those to make. */
export async function joinNamespaces(
  context: Context,
  record: ContainerRecord,
  { userns, scope }: IsolationOptions,
): Promise<{ joined: JoinedNamespace[]; created: number }> {
  const { config } = record
  const joined: JoinedNamespace[] = []
  let created = 0
  const consider = (mode: NamespaceMode, flag: number, file: string): void => {
    if (mode.kind === 'private') created |= flag
    if (mode.kind === 'container')
      joined.push({ flag, fd: scope.add(openNamespace(context, mode.container, file)) })
  }
  consider(config.ipc, Clone.NEWIPC, 'ipc')
  consider(config.uts, Clone.NEWUTS, 'uts')
  consider(config.pid, Clone.NEWPID, 'pid')
  const network = config.networkMode
  if (network.kind === 'container') {
    joined.push({
      flag: Clone.NEWNET,
      fd: scope.add(openNamespace(context, network.container, 'net')),
    })
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
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot share the ${file} namespace of "${name}": it does not run`,
    )
  }
  return openSync(`/proc/${live.process.pid}/ns/${file}`, 'r')
}
