/**
 * The sockets on which a gateway answers names. The keeper holds them beside the daemon while containers run: without a
 * daemon questions wait in them for the next one, instead of being refused.
 */
import { closeSync } from 'node:fs'
import { bindSocket } from '../kernel/bound-socket.ts'
import { errnoName } from '../kernel/libc.ts'
import type { BoundSockets } from '../network/dns/dns-server.ts'
import { addressBytes, requireAddress } from '../network/ip-address.ts'
import { TsstackError } from '../errors.ts'
import type { RecoveredDescriptors } from './kept-descriptors.ts'

const DNS_PORT = 53

/** What the keeper has them under. */
export function nameSocketsKey(gateway: string): string {
  return `names ${gateway}`
}

/** Those that were kept, or new ones. @throws {ALREADY_EXISTS} when another program has the port */
export function openNameSockets(
  gateway: string,
  recovered: RecoveredDescriptors | undefined,
): BoundSockets {
  const key = nameSocketsKey(gateway)
  const udp = recovered?.take(key, 'udp') ?? bind(gateway, 'udp')
  try {
    return { udp, tcp: recovered?.take(key, 'tcp') ?? bind(gateway, 'tcp') }
  } catch (error) {
    closeSync(udp)
    throw error
  }
}

function bind(gateway: string, protocol: 'udp' | 'tcp'): number {
  const address = addressBytes(requireAddress(gateway))
  const reuse = protocol === 'tcp'
  const bound = bindSocket({ protocol, address, port: DNS_PORT, reuse, receives: true })
  if ('fd' in bound) return bound.fd
  const name = errnoName(bound.errno)
  const isTaken = name === 'EADDRINUSE'
  throw new TsstackError(
    isTaken ? 'ALREADY_EXISTS' : 'FAILED_PRECONDITION',
    `Cannot serve names on ${gateway} port ${DNS_PORT}: ${isTaken ? 'another program has the port' : name}`,
  )
}
