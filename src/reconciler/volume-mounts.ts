/**
 * File systems of volumes that have one of their own (tmpfs, nfs, cifs): mounted nowhere on the host. One mount of each is
 * held here as long as a container that uses it runs, after a crash of the daemon too; every container gets a copy of it.
 */
import { lookup } from 'node:dns/promises'
import { closeSync } from 'node:fs'
import { isIP } from 'node:net'
import { MountAttribute } from '../kernel/constants.ts'
import { attachLayer, detachLayer } from '../engine/layer-mounts.ts'
import { cloneMount, mountRemoteFileSystem } from '../kernel/detached-mount.ts'
import type { VolumeSource } from '../volumes/volume-source.ts'
import { TsstackError, toTsstackError } from '../errors.ts'
import type { KeptDescriptors, RecoveredDescriptors } from './kept-descriptors.ts'

type FileSystem = VolumeSource & { readonly kind: 'file-system' }

/** A mount for one container; the caller closes it. */
export interface VolumeMount {
  readonly fd: number
  /** The same with plain ids; not the caller's. */
  readonly plainFd: number
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
  /** After a restart of the daemon: the container runs, with these of its volumes mounted. */
  adopt(container: string, volumes: readonly string[], recovered: RecoveredDescriptors): void
}

interface HeldMount {
  readonly fd: number
  readonly attached?: string
}

interface Held {
  readonly mounted: Promise<HeldMount>
  readonly users: Set<string>
}

/**
 * @param attachIn where the kernel wants mounts to be attached that are copied (layer-mounts.ts). What was attached by an
 * earlier daemon can't be attached again, so there it is not taken over: who starts later has a new file system
 */
export function createVolumeMounts(kept: KeptDescriptors, attachIn?: string): VolumeMounts {
  const held = new Map<string, Held>()
  const hold = async (volume: string, source: FileSystem): Promise<HeldMount> => {
    const fd = await mount(volume, source)
    if (attachIn !== undefined) return { fd, attached: attachLayer(fd, attachIn) }
    kept.holdBeside(keyOf(volume), { mount: fd })
    return { fd }
  }
  const release = (container: string): void => {
    for (const [volume, { mounted, users }] of held) {
      if (!users.delete(container) || users.size > 0) continue
      held.delete(volume)
      kept.release(keyOf(volume))
      void mounted.then(letGo, () => undefined)
    }
  }
  return {
    release,
    adopt(container, volumes, recovered) {
      for (const volume of volumes) {
        const fd = held.has(volume) ? undefined : recovered.take(keyOf(volume), 'mount')
        if (fd !== undefined) {
          held.set(volume, { mounted: Promise.resolve({ fd }), users: new Set() })
          kept.holdBeside(keyOf(volume), { mount: fd })
        }
        held.get(volume)?.users.add(container)
      }
    },
    async open({ volume, source, container }) {
      const entry = held.get(volume) ?? { mounted: hold(volume, source), users: new Set<string>() }
      held.set(volume, entry)
      entry.users.add(container)
      try {
        const { fd: plainFd } = await entry.mounted
        return { fd: cloneMount(plainFd), plainFd }
      } catch (error) {
        release(container)
        throw error
      }
    },
  }
}

const keyOf = (volume: string): string => `volume ${volume}`

function letGo({ fd, attached }: HeldMount): void {
  if (attached !== undefined) detachLayer(attached)
  closeSync(fd)
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
