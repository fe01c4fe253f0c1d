/**
 * /dev/shm of containers that share an IPC namespace: POSIX shared memory (man 7 shm_overview) are files there, so those
 * who share the namespace have one in common. It is a mount that lives as long as one of them runs, as that of a volume
 * with a file system of its own.
 */
import { existsSync } from 'node:fs'
import type { MountSource } from '../engine/host-mount.ts'
import type { FdScope } from '../kernel/fd-scope.ts'
import { TsstackError } from '../errors.ts'
import type { Context } from './context.ts'
import type { ContainerRecord } from './records.ts'

const TARGET = '/dev/shm'
/** No volume has a space in its name. */
const nameOf = ({ id }: ContainerRecord): string => `shm ${id}`

/**
 * Of a container that has it in common with others.
 * @param scope owns the descriptors
 * @returns undefined: it has one of its own, or what the stack mounts there
 * @throws {FAILED_PRECONDITION} when the other container shares its namespace with nobody
 */
export async function sharedMemorySource(
  context: Context,
  record: ContainerRecord,
  scope: FdScope,
): Promise<MountSource | undefined> {
  const { config, id } = record
  if (config.mounts.some(({ target }) => target === TARGET)) return undefined
  if (config.ipc.kind === 'host') return hostMemory()
  const donor = donorOf(context, record)
  if (donor === undefined) return undefined
  const options = [
    ['mode', '1777'],
    ['size', String(donor.config.shmBytes)],
  ] as const
  const source = {
    kind: 'file-system',
    type: 'tmpfs',
    options,
    readOnly: false,
    noExec: true,
  } as const
  const volume = nameOf(donor)
  const { fd, plainFd } = await context.volumeMounts.open({ volume, source, container: id })
  scope.add(fd)
  const mount = { kind: 'volume', target: TARGET, volume, readOnly: false, noCopy: true } as const
  return { mount, detached: { fd, plainFd } }
}

/** Names under which a running container holds mounts (volume-mounts.ts), after a restart of the daemon. */
export function sharedMemoryNames(context: Context, record: ContainerRecord): readonly string[] {
  const donor = lastDonor(context, record)
  return donor?.config.sharedMemory === 'shareable' ? [nameOf(donor)] : []
}

function hostMemory(): MountSource | undefined {
  if (!existsSync(TARGET)) return undefined
  return {
    path: TARGET,
    mount: {
      kind: 'bind',
      source: TARGET,
      target: TARGET,
      readOnly: false,
      recursive: false,
      propagation: 'private',
      createSource: false,
    },
  }
}

function donorOf(context: Context, record: ContainerRecord): ContainerRecord | undefined {
  const donor = lastDonor(context, record)
  if (donor?.config.sharedMemory === 'shareable') return donor
  if (donor === undefined || donor === record) return undefined
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot share the memory of "${donor.config.name}": it is its own`,
    { hint: 'Set "ipc: shareable" on its service' },
  )
}

/** Whose namespace it is in the end; undefined: the host's, or of one that is gone. */
function lastDonor(context: Context, record: ContainerRecord): ContainerRecord | undefined {
  let donor: ContainerRecord | undefined = record
  while (donor?.config.ipc.kind === 'container')
    donor = context.containers.get(donor.config.ipc.container)
  return donor?.config.ipc.kind === 'host' ? undefined : donor
}
