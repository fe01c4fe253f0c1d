/** Sockets that hold a port without listening on it: nobody else can take it, and nothing arrives. man 2 bind. */
import { closeSync } from 'node:fs'
import { syscall, trySyscall } from './libc.ts'

const AF_INET = 2
const AF_INET6 = 10
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const SO_RCVBUF = 8
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26
const ADDRESS_BYTES = 28 // struct sockaddr_in6; sockaddr_in is its first 16
/** SOCK_STREAM, SOCK_DGRAM; IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP */
const TRANSPORT = { tcp: [1, 6], udp: [2, 17], sctp: [1, 132] } as const

export interface BindRequest {
  readonly protocol: keyof typeof TRANSPORT
  /** 4 or 16 bytes in network byte order; zeros: any. */
  readonly address: Uint8Array
  /** 0: any free port. */
  readonly port: number
  /** Take a port on which closed connections are still waiting (TIME_WAIT). */
  readonly reuse?: boolean
  /** Somebody will read what arrives by UDP. Default: false. */
  readonly receives?: boolean
}

export type BindResult = { readonly fd: number; readonly port: number } | { readonly errno: number }

function setOption(fd: number, level: number, option: number, value: number): void {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  trySyscall('setsockopt', fd, level, option, bytes, bytes.length)
}

/**
 * Binds a new socket. An IPv6 socket takes no IPv4.
 * @returns the descriptor (close-on-exec) and the port, or the errno of what failed
 * @throws {SyscallError} when getsockname fails
 */
export function bindSocket(request: BindRequest): BindResult {
  const [type, protocol] = TRANSPORT[request.protocol]
  const isIpv4 = request.address.length === 4
  const fd = trySyscall('socket', isIpv4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, protocol)
  if (fd < 0) return { errno: -fd }
  if (!isIpv4) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)
  if (request.reuse === true) setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1)
  if (request.protocol === 'udp' && request.receives !== true)
    setOption(fd, SOL_SOCKET, SO_RCVBUF, 0) // nobody will read what arrives
  const name = Buffer.alloc(ADDRESS_BYTES)
  name.writeUInt16LE(isIpv4 ? AF_INET : AF_INET6, 0)
  name.writeUInt16BE(request.port, 2)
  name.set(request.address, isIpv4 ? 4 : 8)
  const result = trySyscall('bind', fd, name, isIpv4 ? 16 : ADDRESS_BYTES)
  if (result < 0) {
    closeSync(fd)
    return { errno: -result }
  }
  if (request.port !== 0) return { fd, port: request.port }
  const length = Buffer.alloc(4)
  length.writeUInt32LE(ADDRESS_BYTES)
  syscall('getsockname', fd, name, length)
  return { fd, port: name.readUInt16BE(2) }
}
