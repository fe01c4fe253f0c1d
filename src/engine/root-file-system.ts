/**
 * From a ContainerConfig to the mounts of a StartRequest. All file systems that the daemon can make are made here,
 * detached; those that need the container's namespaces (proc, sysfs, mqueue, cgroup) are listed for the child.
 */
import { MountAttribute, MountFlag } from '../kernel/constants.ts'
import {
  changeMount,
  cloneTree,
  mountFileSystem,
  type FsOptions,
} from '../kernel/detached-mount.ts'
import { syscall } from '../kernel/libc.ts'
import type { FdScope } from '../kernel/fd-scope.ts'
import type { Mount } from '../kernel/mount.ts'
import { TsstackError } from '../errors.ts'
import type { ContainerConfig } from './container-config.ts'
import { ensureDirectory, openMountPoint, type ContainerRoot } from './container-root.ts'
import { createDeviceTree, createTerminals } from './device-tree.ts'
import { createFileTree, type TreeFile } from './file-tree.ts'
import type { DeviceNode } from './host-devices.ts'
import { openHostMount, openLocation, type HostMount, type MountSource } from './host-mount.ts'
import {
  assertTargetIsFree,
  isBelowKernelView,
  isInstead,
  MASKED_PATHS,
  READ_ONLY_PATHS,
} from './kernel-views.ts'
import type {
  Attachment,
  InnerMount,
  LateAttachment,
  PlacedMounts,
  StartRequest,
} from './start-container.ts'
import type { StackUserNamespace } from './user-namespace.ts'

export interface RootRequest {
  readonly config: ContainerConfig
  /** From openRoot. */
  readonly root: ContainerRoot
  /** Absent: the host's ids. */
  readonly userns?: StackUserNamespace
  /** Beside those that every container has. */
  readonly devices: readonly DeviceNode[]
  /** Already resolved sources of config.mounts, in its order. */
  readonly sources: readonly MountSource[]
  /** Configs and secrets with their content: read-only. */
  readonly files: readonly TreeFile[]
  /** /etc/hosts, /etc/hostname, /etc/resolv.conf: writable, as Docker has them. */
  readonly etcFiles: readonly TreeFile[]
  /** v1: controller names; v2: `unified`. */
  readonly cgroupHierarchies: readonly string[]
}

export type BuiltRoot = Pick<
  StartRequest,
  | 'rootFd'
  | 'stageFd'
  | 'attachments'
  | 'lateAttachments'
  | 'innerMounts'
  | 'covers'
  | 'files'
  | 'maskedPaths'
  | 'readOnlyPaths'
> & {
  readonly devptsFd: number
}

const CGROUPS = '/sys/fs/cgroup'
const SAFE = MountFlag.NOSUID | MountFlag.NODEV | MountFlag.NOEXEC

/** A tree into which further mounts may go, by its path in the container. */
interface Place {
  readonly path: string
  readonly root: ContainerRoot
}

/**
 * Makes all mounts of a container on top of its root.
 * @param scope owns every descriptor made; close it when the container has started or failed
 * @throws {TsstackError} naming the mount that can't be made
 */
export function buildRoot(request: RootRequest, scope: FdScope): BuiltRoot {
  const builder = new RootBuilder(request, scope)
  builder.addKernelFileSystems()
  for (const source of byDepth(request.sources)) builder.addMount(source)
  builder.addFiles(request.etcFiles, { readOnly: false })
  builder.addFiles(request.files, { readOnly: true })
  return builder.finish()
}

/**
 * The mounts of a container that does not run: its root, and what the sources have for it, but for memory that only a
 * running container has.
 * @param scope owns every descriptor made
 */
export function buildStoppedRoot(
  request: Pick<RootRequest, 'config' | 'root' | 'userns' | 'sources'>,
  scope: FdScope,
): PlacedMounts {
  const nothing = { devices: [], files: [], etcFiles: [], cgroupHierarchies: [] }
  const builder = new RootBuilder({ ...request, ...nothing }, scope)
  for (const source of byDepth(request.sources))
    if (source.mount.kind !== 'tmpfs') builder.addMount(source)
  return builder.finish()
}

function byDepth(sources: readonly MountSource[]): MountSource[] {
  const depth = (source: MountSource): number => source.mount.target.split('/').length
  return [...sources].sort((a, b) => depth(a) - depth(b))
}

class RootBuilder {
  readonly #request: RootRequest
  readonly #scope: FdScope
  readonly #owner: number
  readonly #places: Place[] = []
  readonly #attachments: Attachment[] = []
  readonly #lateAttachments: LateAttachment[] = []
  readonly #innerMounts: InnerMount[] = []
  readonly #covers: LateAttachment[] = []
  readonly #files: StartRequest['files'][number][] = []
  readonly #rootFd: number
  #devptsFd = -1
  #stageFd = -1

  constructor(request: RootRequest, scope: FdScope) {
    this.#request = request
    this.#scope = scope
    this.#owner = request.userns?.range.start ?? 0
    this.#rootFd = request.root.fd
    this.#places.push({ path: '/', root: request.root })
  }

  finish(): BuiltRoot {
    const { config } = this.#request
    this.#makeWorkingDir(config.workingDir)
    if (config.readOnlyRoot) changeMount(this.#rootFd, { set: MountAttribute.RDONLY })
    return {
      rootFd: this.#rootFd,
      stageFd: this.#stageFd,
      attachments: this.#attachments,
      lateAttachments: this.#lateAttachments,
      innerMounts: this.#innerMounts,
      covers: this.#covers,
      files: this.#files,
      maskedPaths: config.systemPaths === 'unconfined' ? [] : MASKED_PATHS,
      readOnlyPaths: config.systemPaths === 'unconfined' ? [] : READ_ONLY_PATHS,
      devptsFd: this.#devptsFd,
    }
  }

  addKernelFileSystems(): void {
    const { config } = this.#request
    this.#stageFd = this.#target('/proc', 'directory') // free until proc is mounted
    this.#addKernelView('proc', { isHosts: config.pid.kind === 'host', flags: SAFE })
    // A container's network may belong to another user namespace than its own: then the host's view stays.
    const isHosts = config.networkMode.kind === 'host' || config.networkMode.kind === 'container'
    const flags = SAFE | (config.privileged ? 0 : MountFlag.RDONLY)
    if (!this.#addInstead('/sys')) this.#addKernelView('sys', { isHosts, flags })
    this.#addCgroupView()
    if (!this.#addInstead('/dev'))
      this.#attach('/dev', createDeviceTree(this.#owner, this.#request.devices, this.#scope))
    this.#devptsFd = createTerminals(this.#owner, this.#scope)
    this.#attach('/dev/pts', this.#devptsFd)
    const hasOther = this.#request.sources.some(({ mount }) => mount.target === '/dev/shm')
    if (!hasOther && config.sharedMemory !== 'none') this.#addSharedMemory()
    this.#innerMounts.push({
      type: 'mqueue',
      target: this.#target('/dev/mqueue', 'directory'),
      flags: SAFE,
      ignoreError: true,
    })
  }

  /**
   * proc and sysfs show namespaces, and only who owns those may mount them. Where the container's user namespace does
   * not, the host's own mount is shown, as rootless engines do.
   */
  #addKernelView(
    name: 'proc' | 'sys',
    { isHosts, flags }: { readonly isHosts: boolean; readonly flags: number },
  ): void {
    const target = this.#target(`/${name}`, 'directory')
    const isForeign = isHosts && this.#request.userns !== undefined
    if (isForeign) {
      const fd = this.#scope.add(cloneTree(`/${name}`, { recursive: false }))
      changeMount(fd, {
        set: name === 'sys' ? SAFE_ATTRIBUTES | MountAttribute.RDONLY : SAFE_ATTRIBUTES,
      })
      this.#attachments.push({ mountFd: fd, targetFd: target })
    }
    const type = name === 'sys' ? 'sysfs' : name
    this.#innerMounts.push({ type, target, flags, ...(isForeign ? { ignoreError: true } : {}) })
  }

  #addSharedMemory(): void {
    const { shmBytes } = this.#request.config
    this.#attach(
      '/dev/shm',
      this.#tmpfs(
        [
          ['mode', '1777'],
          ['size', String(shmBytes)],
        ],
        SAFE_ATTRIBUTES,
      ),
    )
  }

  /**
   * The container's own cgroups, where programs look for their limits; read-only, but for a privileged one, which may run
   * an engine of its own.
   */
  #addCgroupView(): void {
    const { cgroupHierarchies: hierarchies, config, userns } = this.#request
    if (config.cgroupNamespace === 'host' && userns !== undefined) {
      this.#addHostsCgroups()
      return
    }
    const flags = SAFE | (config.privileged ? 0 : MountFlag.RDONLY)
    if (hierarchies.includes('unified')) {
      this.#innerMounts.push({
        type: 'cgroup2',
        target: CGROUPS,
        flags,
        ignoreError: true,
      })
      return
    }
    const tree = this.#tmpfs(
      [
        ['mode', '0755'],
        ['size', '64k'],
      ],
      SAFE_ATTRIBUTES,
    )
    for (const name of hierarchies) syscall('mkdirat', tree, name, 0o755)
    changeMount(tree, { set: MountAttribute.RDONLY })
    this.#lateAttachments.push({ mountFd: tree, path: CGROUPS })
    for (const name of hierarchies) {
      const target = `${CGROUPS}/${name}`
      this.#innerMounts.push({ type: 'cgroup', target, flags, options: name, ignoreError: true })
    }
  }

  /** Only who owns the namespace of control groups may mount it: of the host's the host's own mounts are shown. */
  #addHostsCgroups(): void {
    const fd = this.#scope.add(cloneTree(CGROUPS, { recursive: true }))
    changeMount(fd, { set: SAFE_ATTRIBUTES | MountAttribute.RDONLY, recursive: true })
    this.#lateAttachments.push({ mountFd: fd, path: CGROUPS })
  }

  addMount(source: MountSource): void {
    assertTargetIsFree(source.mount)
    if (!isInstead(source.mount)) this.#place(source)
  }

  /** Of the host, for example: below it lies what the container has of its own nevertheless. */
  #addInstead(target: string): boolean {
    const own = this.#request.sources.filter(({ mount }) => isInstead(mount))
    const source = own.find(({ mount }) => mount.target === target)
    if (source !== undefined) this.#place(source)
    return source !== undefined
  }

  #place(source: MountSource): void {
    const { mount } = source
    if (mount.kind === 'tmpfs') {
      const attributes =
        (mount.noSuid === false ? 0 : MountAttribute.NOSUID) |
        (mount.noDev === false ? 0 : MountAttribute.NODEV) |
        (mount.readOnly ? MountAttribute.RDONLY : 0) |
        (mount.noExec ? MountAttribute.NOEXEC : 0)
      this.#attach(mount.target, this.#tmpfs(this.#shiftIds(mount.options), attributes))
      return
    }
    const { userns, config } = this.#request
    const { fd, kind, root } = openHostMount(source, {
      ...(userns === undefined ? {} : { usernsFd: userns.fd }),
      allowDevices: config.privileged,
      scope: this.#scope,
    })
    this.#attach(mount.target, fd, { kind, root })
  }

  addFiles(files: readonly TreeFile[], options: { readonly readOnly: boolean }): void {
    if (files.length === 0) return
    const treeFd = createFileTree(files, {
      owner: this.#owner,
      readOnly: options.readOnly,
      scope: this.#scope,
    })
    const placed = files.map((file, index) => ({
      name: String(index),
      targetFd: this.#target(file.target, 'file'),
    }))
    this.#files.push({ treeFd, placed })
  }

  /** Before the root becomes read-only, and where the container will see it: in a volume when one is mounted there. */
  #makeWorkingDir(directory: string): void {
    const { root, below } = this.#placeOf(directory)
    ensureDirectory(root, below)
  }

  #tmpfs(options: FsOptions, attributes: number): number {
    const names = options.map(([name]) => name)
    const owned: [string, string][] = (['uid', 'gid'] as const)
      .filter((name) => !names.includes(name))
      .map((name) => [name, String(this.#owner)])
    return this.#scope.add(mountFileSystem('tmpfs', [...options, ...owned], attributes))
  }

  #shiftIds(options: Readonly<Record<string, string>>): FsOptions {
    const shifted = Object.entries(options).map(
      ([name, value]) =>
        [
          name,
          name === 'uid' || name === 'gid' ? String(this.#owner + Number(value)) : value,
        ] as const,
    )
    return 'mode' in options ? shifted : [['mode', '1777'], ...shifted]
  }

  #attach(
    target: string,
    mountFd: number,
    of: { readonly kind?: HostMount['kind']; readonly root?: HostMount['root'] } = {},
  ): void {
    if (isBelowKernelView(target)) {
      this.#covers.push({ mountFd, path: target })
      return
    }
    this.#attachments.push({ mountFd, targetFd: this.#target(target, of.kind ?? 'directory') })
    if (of.kind === 'file') return
    const root = of.root ?? { creationFd: mountFd, owner: this.#owner }
    this.#places.push({ path: target, root: { fd: mountFd, ...root } })
  }

  /** The deepest tree that holds a path, and the path in it. */
  #placeOf(target: string): { readonly root: ContainerRoot; readonly below: string } {
    const holds = (place: Place): boolean =>
      place.path === '/' || target.startsWith(`${place.path}/`)
    const place = this.#places
      .filter(holds)
      .reduce((a, b) => (b.path.length >= a.path.length ? b : a))
    return {
      root: place.root,
      below: place.path === '/' ? target : target.slice(place.path.length),
    }
  }

  /** The location of a mount point. */
  #target(target: string, kind: 'directory' | 'file'): number {
    const { root, below } = this.#placeOf(target)
    return openMountPoint(root, below, { kind, scope: this.#scope })
  }
}

const SAFE_ATTRIBUTES = MountAttribute.NOSUID | MountAttribute.NODEV | MountAttribute.NOEXEC

/**
 * Whatever the defaults of the host's module are: marks in a layer never send overlayfs elsewhere, for a directory
 * (redirect) or for a file's content (metacopy). Documentation/filesystems/overlayfs.rst, "Metadata only copy up": "Do
 * not use metacopy=on with untrusted upper/lower directories".
 */
const SAFE_OVERLAY: readonly (readonly [string, string])[] = [
  ['redirect_dir', 'nofollow'],
  ['metacopy', 'off'],
]

/**
 * Makes the detached root mount of a snapshot.
 * @param userns absent: the host's ids
 */
export function openRoot(
  mount: Mount,
  userns: StackUserNamespace | undefined,
  scope: FdScope,
): ContainerRoot {
  const owner = userns?.range.start ?? 0
  if (mount.kind === 'overlay') {
    const layers = mount.lowerdirs.map((lower) =>
      userns === undefined ? lower : `/proc/self/fd/${userns.layer(lower)}`,
    )
    const options = [...layers.map((layer) => ['lowerdir+', layer] as const), ...SAFE_OVERLAY]
    if (mount.upperdir !== undefined) options.push(['upperdir', mount.upperdir])
    if (mount.workdir !== undefined) options.push(['workdir', mount.workdir])
    const fd = scope.add(mountFileSystem('overlay', options))
    return { fd, creationFd: fd, owner }
  }
  if (mount.kind !== 'bind')
    throw new TsstackError('INTERNAL', `Cannot use a ${mount.kind} as root`)
  const fd = scope.add(cloneTree(mount.source, { recursive: false }))
  if (userns !== undefined) changeMount(fd, { usernsFd: userns.fd })
  return { fd, creationFd: scope.add(openLocation(mount.source)), owner: 0 }
}
