/** A part of the host's tree, or a file system made for it, as a container is to see it: detached, with its ids. */
import { statSync } from 'node:fs'
import { AT_FDCWD, MountAttribute, MountFlag, Open } from '../kernel/constants.ts'
import { changeMount, cloneTree } from '../kernel/detached-mount.ts'
import { openConfined } from '../kernel/file-calls.ts'
import type { FdScope } from '../kernel/fd-scope.ts'
import type { ContainerMount } from './container-config.ts'
import type { ContainerRoot } from './container-root.ts'
import { mapIds } from './map-ids.ts'

/** A mount of a container with what lies behind it, looked up. */
export interface MountSource {
  readonly mount: ContainerMount
  /** Where it lies on the host; a path of a descriptor (/proc/self/fd/…) is as good. */
  readonly path?: string
  /** Instead: a mount of nowhere, for this container alone. */
  readonly detached?: {
    readonly fd: number
    /** The same tree with plain ids, to make mount points in; absent: none can be made. */
    readonly plainFd?: number
    /** Its ids are the container's already. */
    readonly isMapped?: boolean
  }
  /** Ids of this mount are seen through this user namespace, and `owner` is who on the disk is the container's root. */
  readonly idMap?: { readonly usernsFd: number; readonly owner: number }
}

export interface HostMountOptions {
  /** Of the container; absent: the host's ids. */
  readonly usernsFd?: number
  /** Devices may be opened. */
  readonly allowDevices: boolean
  readonly scope: FdScope
}

export interface HostMount {
  readonly fd: number
  readonly kind: 'directory' | 'file'
  /** Where mount points below it are made. */
  readonly root: Pick<ContainerRoot, 'creationFd' | 'owner'>
}

/** Without one of its own a copy would be a peer of the host's mount: what is mounted in one would show in the other. */
const PROPAGATION = {
  private: MountFlag.PRIVATE,
  slave: MountFlag.SLAVE,
  shared: MountFlag.SHARED,
} as const

/** @throws {FAILED_PRECONDITION} where ids can't be mapped */
export function openHostMount(source: MountSource, options: HostMountOptions): HostMount {
  const { mount, detached } = source
  const { scope } = options
  const recursive = mount.kind === 'bind' && mount.recursive
  const path = source.path ?? ''
  const fd = detached?.fd ?? scope.add(cloneTree(path, { recursive }))
  const stats = statSync(detached === undefined ? path : `/proc/self/fd/${fd}`)
  const propagation = mount.kind === 'bind' ? PROPAGATION[mount.propagation] : MountFlag.PRIVATE
  const set = options.allowDevices ? 0 : MountAttribute.NODEV
  changeMount(fd, { set, propagation, recursive })
  if (mount.readOnly) {
    const all = mount.kind === 'bind' && mount.recursive && mount.readOnlyBelow !== false
    changeMount(fd, { set: MountAttribute.RDONLY, recursive: all })
  }
  const usernsFd = source.idMap?.usernsFd ?? options.usernsFd
  if (usernsFd !== undefined && detached?.isMapped !== true) {
    const of = detached === undefined ? { source: path } : {}
    mapIds({ fd, usernsFd, recursive, readOnly: mount.readOnly, ...of, shown: describe(source) })
  }
  return {
    fd,
    kind: stats.isDirectory() ? 'directory' : 'file',
    // Below an ID-mapped mount the daemon's own id does not exist: it creates in the source instead, as its owner.
    root: {
      creationFd: detached === undefined ? scope.add(openLocation(path)) : (detached.plainFd ?? fd),
      owner: source.idMap?.owner ?? 0,
    },
  }
}

/** A path of the host as a location (O_PATH). */
export function openLocation(source: string): number {
  return openConfined(AT_FDCWD, source, { flags: Open.PATH, resolve: 0 })
}

function describe({ mount, path }: MountSource): string {
  if (mount.kind === 'volume') return `volume ${mount.volume}`
  return mount.kind === 'bind' ? mount.source : (path ?? mount.target)
}
