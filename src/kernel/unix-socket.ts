/** Sockets with a name in the file system that Node can't make, or not with a descriptor of our own. man 7 unix. */
import { closeSync } from 'node:fs'
import { syscall, SyscallError, trySyscall } from './libc.ts'

const AF_UNIX = 1
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000
/** The kernel takes no more than net.core.somaxconn, 4096 by default. */
const BACKLOG = 4096
/** sun_path, with its closing zero. */
const MAX_PATH_BYTES = 108
const SOL_SOCKET = 1
const SO_ACCEPTCONN = 30
const F_SETFD = 2
const F_DUPFD_CLOEXEC = 1030
const FD_CLOEXEC = 1
const MSG_NOSIGNAL_DONTWAIT = 0x4000 | 0x40

/**
 * Listens on a path that does not exist yet. Who may connect, the mask of the process and the directory say.
 * @returns the descriptor, close-on-exec
 * @throws {SyscallError}
 */
export function listenOnPath(path: string): number {
  const fd = syscall('socket', AF_UNIX, SOCK_STREAM_CLOEXEC, 0)
  const name = socketAddress(path)
  const bound = trySyscall('bind', fd, name, name.length)
  const result = bound < 0 ? bound : trySyscall('listen', fd, BACKLOG)
  if (result >= 0) return fd
  closeSync(fd)
  throw new SyscallError(bound < 0 ? 'bind' : 'listen', -result, path)
}

/** Lets as many connections wait for a listening socket as the kernel allows; Node asks for 511. @throws {SyscallError} */
export function widenQueue(fd: number): void {
  syscall('listen', fd, BACKLOG)
}

/**
 * Sends one datagram to a socket with a name; `@` in front is a name outside of the file system. Does not wait.
 * @throws {SyscallError}
 */
export function sendToPath(path: string, text: string): void {
  const fd = syscall('socket', AF_UNIX, SOCK_DGRAM_CLOEXEC, 0)
  try {
    const name = socketAddress(path)
    const bytes = Buffer.from(text)
    syscall('sendto', fd, bytes, bytes.length, MSG_NOSIGNAL_DONTWAIT, name, name.length)
  } finally {
    closeSync(fd)
  }
}

/** Whether a descriptor is a socket that listens (man 7 socket, SO_ACCEPTCONN). */
export function isListeningSocket(fd: number): boolean {
  const accepts = Buffer.alloc(4)
  const length = Buffer.from([4, 0, 0, 0])
  const result = trySyscall('getsockopt', fd, SOL_SOCKET, SO_ACCEPTCONN, accepts, length)
  return result === 0 && accepts.readInt32LE(0) !== 0
}

/** A second descriptor of the same open file, close-on-exec. @throws {SyscallError} */
export function duplicate(fd: number): number {
  return syscall('fcntl', fd, F_DUPFD_CLOEXEC, 3)
}

/** Whether a descriptor goes on to the program that this process becomes (man 2 execve). @throws {SyscallError} */
export function setInheritable(fd: number, inheritable: boolean): void {
  syscall('fcntl', fd, F_SETFD, inheritable ? 0 : FD_CLOEXEC)
}

/** struct sockaddr_un, as long as its path needs it. @throws {SyscallError} ENAMETOOLONG */
function socketAddress(path: string): Buffer {
  const isAbstract = path.startsWith('@')
  const bytes = Buffer.from(isAbstract ? `\0${path.slice(1)}` : `${path}\0`)
  if (bytes.length > MAX_PATH_BYTES) throw new SyscallError('bind', 36, path)
  const address = Buffer.alloc(2 + bytes.length)
  address.writeUInt16LE(AF_UNIX, 0)
  address.set(bytes, 2)
  return address
}
