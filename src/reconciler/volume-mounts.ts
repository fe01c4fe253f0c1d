/**
 * File systems of volumes that have one of their own (tmpfs, nfs, cifs): mounted nowhere on the host. One mount of each is
 * held here as long as a container that uses it runs; every container gets a copy of it.
 */
import { lookup } from 'node:dns/promises'
import { closeSync } from 'node:fs'
import { isIP } from 'node:net'
import { MountAttribute } from '../kernel/constants.ts'
import { mountRemoteFileSystem, tryCloneMount } from '../kernel/detached-mount.ts'
import type { VolumeSource } from '../volumes/volume-source.ts'
import { TsstackError, toTsstackError } from '../errors.ts'

type FileSystem = VolumeSource & { readonly kind: 'file-system' }

/** A mount for one container; the caller closes it. */
export interface VolumeMount {
  readonly fd: number
  /** The same with plain ids; not the caller's. */
  readonly plainFd?: number
}

export interface VolumeMounts {
  /** @throws {FAILED_PRECONDITION} with what the kernel says */
  open(request: {
    readonly volume: string
    readonly source: FileSystem
    readonly container: string
  }): Promise<VolumeMount>
  /** The container does not run any more. */
  release(container: string): void
}

interface Held {
  readonly fd: Promise<number>
  readonly users: Set<string>
}

export function createVolumeMounts(): VolumeMounts {
  const held = new Map<string, Held>()
  const release = (container: string): void => {
    for (const [volume, { fd, users }] of held) {
      if (!users.delete(container) || users.size > 0) continue
      held.delete(volume)
      void fd.then(closeSync, () => undefined)
    }
  }
  return {
    release,
    async open({ volume, source, container }) {
      const entry = held.get(volume) ?? { fd: mount(volume, source), users: new Set<string>() }
      held.set(volume, entry)
      entry.users.add(container)
      try {
        const plainFd = await entry.fd
        const fd = tryCloneMount(plainFd)
        // Before Linux 6.15 a mount of nowhere has no copies: each container then has a mount of its own.
        return fd === undefined ? { fd: await mount(volume, source) } : { fd, plainFd }
      } catch (error) {
        release(container)
        throw error
      }
    },
  }
}

async function mount(volume: string, source: FileSystem): Promise<number> {
  const attributes =
    MountAttribute.NOSUID |
    MountAttribute.NODEV |
    (source.noExec ? MountAttribute.NOEXEC : 0) |
    (source.readOnly ? MountAttribute.RDONLY : 0)
  try {
    return await mountRemoteFileSystem(source.type, await resolved(source.options), attributes)
  } catch (error) {
    const { message } = toTsstackError(error)
    throw new TsstackError('FAILED_PRECONDITION', `Cannot mount volume "${volume}": ${message}`, {
      cause: error,
      hint: message.endsWith('ENODEV')
        ? `This kernel has no file system "${source.type}": load its module (modprobe ${source.type})`
        : 'Compare its driver_opts with "man 8 mount"; see also "dmesg"',
    })
  }
}

/** The kernel knows no names (man 5 nfs: addr); resolving them is the work of mount's helpers otherwise. */
async function resolved(options: FileSystem['options']): Promise<FileSystem['options']> {
  return Promise.all(
    options.map(async ([name, value]) => {
      const isName = (name === 'addr' || name === 'ip') && value !== true && isIP(value) === 0
      return [name, isName ? (await lookup(value)).address : value] as const
    }),
  )
}
