/** `sysctls`: which of them a container may have, where the kernel would let it set those of the host. */
import type { ContainerConfig } from '../engine/container-config.ts'
import type { Service } from '../spec/stack.ts'
import { TsstackError } from '../errors.ts'

/** Those that the kernel keeps for each IPC namespace (moby: opts.ValidateSysctl). */
const IPC = new Set([
  ...['kernel.msgmax', 'kernel.msgmnb', 'kernel.msgmni', 'kernel.sem', 'kernel.shmall'],
  ...['kernel.shmmax', 'kernel.shmmni', 'kernel.shm_rmid_forced'],
])

/**
 * In a user namespace the kernel itself refuses what is not the container's.
 * @throws {INVALID_ARGUMENT} for one that would be the host's
 */
export function sysctlsOf(
  { sysctls = {} }: Service,
  {
    userNamespace,
    networkMode,
    ipc,
  }: Pick<ContainerConfig, 'userNamespace' | 'networkMode' | 'ipc'>,
): Readonly<Record<string, string>> {
  if (userNamespace) return sysctls
  const isOwn = (name: string): boolean => {
    if (name.startsWith('net.')) return networkMode.kind !== 'host'
    return (IPC.has(name) || name.startsWith('fs.mqueue.')) && ipc.kind !== 'host'
  }
  const foreign = Object.keys(sysctls).find((name) => !isOwn(name.replaceAll('/', '.')))
  if (foreign === undefined) return sysctls
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot set sysctl "${foreign}": the container shares it with the host`,
    { hint: 'Set it on the host (man 8 sysctl), and remove it here' },
  )
}
