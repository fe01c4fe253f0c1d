/**
 * Netlink sockets, used synchronously: the kernel answers a request within the send itself, so that a receive right
 * after it does not wait. Bytes in, bytes out; what the messages mean is src/network's business (man 7 netlink).
 */
import os from 'node:os'
import { SyscallError, syscall, trySyscall } from './libc.ts'

const AF_NETLINK = 16
const SOCK_RAW_CLOEXEC = 3 | 0o2000000
const SOL_SOCKET = 1
const SO_RCVTIMEO = 20
const SO_SNDBUFFORCE = 32
const SO_RCVBUFFORCE = 33
const SOL_NETLINK = 270
const NETLINK_ADD_MEMBERSHIP = 1
const NETLINK_CAP_ACK = 10
const NETLINK_EXT_ACK = 11
const MSG_DONTWAIT = 0x40
const MSG_TRUNC = 0x20
const SOCKADDR_NL_BYTES = 12
const RECEIVE_BYTES = 256 * 1024
const TIMEOUT_SECONDS = 10n
const EINTR = os.constants.errno.EINTR

/** include/uapi/linux/netlink.h */
export const NetlinkProtocol = { ROUTE: 0, NETFILTER: 12 } as const

function setOption(fd: number, level: number, option: number, value: number): number {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return trySyscall('setsockopt', fd, level, option, bytes, bytes.length)
}

/**
 * Opens a netlink socket in the network namespace of the calling thread.
 * @returns the descriptor, close-on-exec
 * @throws {SyscallError}
 */
export function openNetlinkSocket(protocol: number): number {
  return syscall('socket', AF_NETLINK, SOCK_RAW_CLOEXEC, protocol)
}

/**
 * Sets what every request relies on: short acknowledgements that carry the kernel's own words about an error
 * (Linux 4.12), and a time limit of 10 s on a receive, so that no kernel bug can hang the daemon.
 * @param bufferBytes how much one send may hold; more than net.core.wmem_max needs CAP_NET_ADMIN in the first user namespace
 */
export function prepareNetlinkSocket(fd: number, bufferBytes?: number): void {
  setOption(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1)
  setOption(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1)
  const time = Buffer.alloc(16) // struct timeval
  time.writeBigInt64LE(TIMEOUT_SECONDS, 0)
  trySyscall('setsockopt', fd, SOL_SOCKET, SO_RCVTIMEO, time, time.length)
  if (bufferBytes === undefined) return
  setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, bufferBytes)
  setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, bufferBytes)
}

/**
 * Sends one datagram (any number of messages) to the kernel.
 * @throws {SyscallError} EMSGSIZE when it is larger than the send buffer
 */
export function sendNetlink(fd: number, bytes: Uint8Array): void {
  for (;;) {
    const sent = trySyscall('sendto', fd, bytes, bytes.length, 0, 0, 0)
    if (sent >= 0) return
    if (sent !== -EINTR) throw new SyscallError('sendto', -sent, 'netlink')
  }
}

/**
 * Subscribes to multicast groups: what changes is told from now on (man 7 netlink, NETLINK_ADD_MEMBERSHIP).
 * @throws {SyscallError}
 */
export function joinNetlinkGroups(fd: number, groups: readonly number[]): void {
  // A socket without an address of its own is told nothing: the kernel takes it for the originator.
  const address = Buffer.alloc(SOCKADDR_NL_BYTES)
  address.writeUInt16LE(AF_NETLINK, 0)
  syscall('bind', fd, address, address.length)
  for (const group of groups) {
    const result = setOption(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
    if (result < 0) throw new SyscallError('setsockopt', -result, 'netlink')
  }
}

/** The address that the kernel gave the socket when it was first used: it marks the notifications that it causes. */
export function netlinkPort(fd: number): number {
  const address = Buffer.alloc(SOCKADDR_NL_BYTES)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(SOCKADDR_NL_BYTES)
  const result = trySyscall('getsockname', fd, address, length)
  return result < 0 ? 0 : address.readUInt32LE(4)
}

const received = Buffer.alloc(RECEIVE_BYTES)

/**
 * Receives one datagram.
 * @returns a view that is valid until the next call
 * @throws {SyscallError} EAGAIN after 10 s without an answer, ENOBUFS when answers were lost, EMSGSIZE over 256 KiB
 */
export function receiveNetlink(fd: number): Buffer {
  return receive(fd, 0)
}

/**
 * Receives one datagram that is there already.
 * @returns a view that is valid until the next call; undefined when there is none
 * @throws {SyscallError} ENOBUFS when some were lost, EMSGSIZE over 256 KiB
 */
export function receiveNetlinkAtHand(fd: number): Buffer | undefined {
  try {
    return receive(fd, MSG_DONTWAIT)
  } catch (error) {
    if (error instanceof SyscallError && error.errno === os.constants.errno.EAGAIN) return undefined
    throw error
  }
}

function receive(fd: number, flags: number): Buffer {
  for (;;) {
    const length = trySyscall('recvfrom', fd, received, received.length, MSG_TRUNC | flags, 0, 0)
    if (length > received.length)
      throw new SyscallError('recvfrom', os.constants.errno.EMSGSIZE, 'netlink')
    if (length >= 0) return received.subarray(0, length)
    if (length !== -EINTR) throw new SyscallError('recvfrom', -length, 'netlink')
  }
}
