/**
 * The root of a container that does not run, with its mounts in place: in a mount namespace that no process is in. Who
 * resolves a path below the root's descriptor comes through them as the container would.
 */
import { AT_FDCWD, Clone, Open } from '../kernel/constants.ts'
import { runInChild } from '../kernel/namespaces.ts'
import { appendMounts, type PlacedMounts } from './start-container.ts'

/**
 * @returns the namespace's descriptor, close-on-exec: what was placed is there until it is closed
 * @throws {SyscallError}
 */
export function placeMounts(mounts: PlacedMounts): Promise<number> {
  return runInChild((list) => {
    list.call('unshare', [Clone.NEWNS])
    appendMounts(list, mounts)
    const flags = Open.RDONLY | Open.CLOEXEC
    const namespace = list.call('openat', [AT_FDCWD, '/proc/self/ns/mnt', flags, 0])
    return () => list.result(namespace)
  })
}
