/** The container's /dev: a tmpfs with the devices that the OCI runtime specification asks for (config-linux, default devices). */
import { closeSync } from 'node:fs'
import { AT_EMPTY_PATH, Ioctl, MountAttribute, Open } from '../kernel/constants.ts'
import { mountFileSystem } from '../kernel/detached-mount.ts'
import { makeNode } from '../kernel/file-calls.ts'
import { syscall, trySyscall } from '../kernel/libc.ts'
import type { FdScope } from '../kernel/fd-scope.ts'
import type { DeviceNode } from './host-devices.ts'

const S_IFCHR = 0o020000
const S_IFBLK = 0o060000
/** name, major, minor: Documentation/admin-guide/devices.txt */
const NODES = [
  ['null', 1, 3],
  ['zero', 1, 5],
  ['full', 1, 7],
  ['random', 1, 8],
  ['urandom', 1, 9],
  ['tty', 5, 0],
] as const
const LINKS = [
  ['ptmx', 'pts/ptmx'],
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
  ['core', '/proc/kcore'],
] as const
const DIRECTORIES = ['pts', 'shm', 'mqueue'] as const
const TTY_GROUP = 5
const TERMINAL_FLAGS = Open.RDWR | Open.NOCTTY | Open.CLOEXEC

/**
 * Makes a detached /dev whose nodes belong to the host id `owner`. The nodes are real ones, made by the host's root:
 * a user namespace can use them but could not make them.
 */
export function createDeviceTree(
  owner: number,
  devices: readonly DeviceNode[],
  scope: FdScope,
): number {
  const options = [
    ['mode', '0755'],
    ['size', '65536k'],
    ['uid', String(owner)],
    ['gid', String(owner)],
  ] as const
  const fd = scope.add(
    mountFileSystem('tmpfs', options, MountAttribute.NOSUID | MountAttribute.NOEXEC),
  )
  for (const [name, major, minor] of NODES) {
    makeNode(fd, name, { mode: S_IFCHR | 0o666, major, minor })
    syscall('fchmodat', fd, name, 0o666) // whatever the umask is
    syscall('fchownat', fd, name, owner, owner, 0)
  }
  for (const [name, target] of LINKS) {
    syscall('symlinkat', target, fd, name)
  }
  for (const name of DIRECTORIES) addDirectory(fd, name, owner)
  const standard = new Set<string>(NODES.map(([name]) => name))
  for (const device of devices) if (!standard.has(device.path)) addDevice(fd, device, owner)
  return fd
}

/** For everybody to look into, whatever the umask is. */
function addDirectory(tree: number, directory: string, owner: number): void {
  if (trySyscall('mkdirat', tree, directory, 0o755) < 0) return
  syscall('fchmodat', tree, directory, 0o755)
  syscall('fchownat', tree, directory, owner, owner, 0)
}

function addDevice(tree: number, device: DeviceNode, owner: number): void {
  const parts = device.path.split('/')
  for (let depth = 1; depth < parts.length; depth++) {
    addDirectory(tree, parts.slice(0, depth).join('/'), owner)
  }
  const kind = device.type === 'c' ? S_IFCHR : S_IFBLK
  makeNode(tree, device.path, { ...device, mode: kind | device.mode })
  syscall('fchmodat', tree, device.path, device.mode)
  syscall('fchownat', tree, device.path, owner + device.uid, owner + device.gid, 0)
}

/** Makes a detached devpts instance of the container's own (Documentation/filesystems/devpts.rst). */
export function createTerminals(owner: number, scope: FdScope): number {
  const options = [
    ['newinstance', true],
    ['ptmxmode', '0666'],
    ['mode', '0620'],
    ['gid', String(owner + TTY_GROUP)],
  ] as const
  return scope.add(
    mountFileSystem('devpts', options, MountAttribute.NOSUID | MountAttribute.NOEXEC),
  )
}

export interface Terminal {
  /** The daemon's side: what is written here the program reads. */
  readonly masterFd: number
  /** The program's side, close-on-exec. */
  readonly slaveFd: number
}

export interface TerminalSize {
  readonly columns: number
  readonly rows: number
}

/** @param masterFd - the daemon's side; the program is told by SIGWINCH (man 2 ioctl_tty) */
export function setTerminalSize(masterFd: number, { columns, rows }: TerminalSize): void {
  const winsize = Buffer.from(new Uint16Array([rows, columns, 0, 0]).buffer)
  trySyscall('ioctl', masterFd, Ioctl.TIOCSWINSZ, winsize)
}

/**
 * Opens a new terminal of a devpts instance, given by a descriptor of its root. It has its size before a program has it:
 * what a program asks first is how wide it may print.
 */
export function openTerminal(devptsFd: number, owner: number, size?: TerminalSize): Terminal {
  const masterFd = syscall('openat', devptsFd, 'ptmx', TERMINAL_FLAGS, 0)
  try {
    syscall('ioctl', masterFd, Ioctl.TIOCSPTLCK, Buffer.alloc(4))
    const slaveFd = syscall('ioctl', masterFd, Ioctl.TIOCGPTPEER, TERMINAL_FLAGS)
    if (size !== undefined) setTerminalSize(masterFd, size)
    syscall('fchownat', slaveFd, '', owner, owner + TTY_GROUP, AT_EMPTY_PATH)
    return { masterFd, slaveFd }
  } catch (error) {
    closeSync(masterFd)
    throw error
  }
}
