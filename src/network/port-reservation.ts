/** Ports of the host that belong to containers: held by a bound socket, so that no other program can take them. */
import { closeSync } from 'node:fs'
import { TsstackError } from '../errors.ts'
import { bindSocket } from '../kernel/bound-socket.ts'
import { errnoName } from '../kernel/libc.ts'
import { addressBytes, requireAddress } from './ip-address.ts'
import type { Protocol } from './firewall/elements.ts'
import { findPortUse } from './port-owner.ts'

export interface PortRequest {
  /** `0.0.0.0` or `::`: any address of the host. */
  readonly hostIp: string
  readonly protocol: Protocol
  /** The lowest free one of these is taken; absent: one that the kernel chooses. */
  readonly published?: { readonly from: number; readonly to: number }
}

export interface PortReservation {
  readonly hostIp: string
  readonly protocol: Protocol
  readonly port: number
  /** Gives the port back; safe to call twice. */
  release(): void
}

/**
 * Takes a port. What is reserved lives as long as this process: a new daemon reserves again.
 * @throws {ALREADY_EXISTS} when the port, or every one of the range, is taken; the message names the process that has it
 * @throws {FAILED_PRECONDITION} when the address is not the host's, or the kernel lacks the protocol
 */
export function reservePort(request: PortRequest): PortReservation {
  const { from, to } = request.published ?? { from: 0, to: 0 }
  if (from > to || from < 0 || to > 65_535) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot publish port ${from}-${to}: it is not a range within 1-65535`,
    )
  }
  for (let port = from; port <= to; port++) {
    const reservation = tryReserve(request, port)
    if (reservation !== undefined) return reservation
  }
  throw taken(request, from, to)
}

function tryReserve(request: PortRequest, port: number): PortReservation | undefined {
  const { hostIp, protocol } = request
  const address = addressBytes(requireAddress(hostIp))
  let bound = bindSocket({ protocol, address, port })
  if ('errno' in bound && errnoName(bound.errno) === 'EADDRINUSE') {
    const use = findPortUse(protocol, port)
    if (use.inUse || !use.waiting) return undefined
    bound = bindSocket({ protocol, address, port, reuse: true })
    if ('errno' in bound) return undefined
  }
  if ('errno' in bound) throw refused(request, port, errnoName(bound.errno))
  const { fd } = bound
  let held = true
  return {
    hostIp,
    protocol,
    port: bound.port,
    release: () => {
      if (held) closeSync(fd)
      held = false
    },
  }
}

function refused(request: PortRequest, port: number, errno: string): TsstackError {
  const states: Readonly<Record<string, string>> = {
    EADDRNOTAVAIL: `"${request.hostIp}" is not an address of this host`,
    EPROTONOSUPPORT: `the kernel has no ${request.protocol}`,
    EAFNOSUPPORT: `the kernel has no IPv${request.hostIp.includes(':') ? '6' : '4'}`,
  }
  const state = states[errno] ?? errno
  return new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot publish port ${describe(request, port)}: ${state}`,
  )
}

function taken(request: PortRequest, from: number, to: number): TsstackError {
  if (from !== to) {
    return new TsstackError(
      'ALREADY_EXISTS',
      `Cannot publish a port of ${describe(request, `${from}-${to}`)}: all are in use`,
    )
  }
  const { process } = findPortUse(request.protocol, from)
  const state = process === undefined ? 'it is in use' : `it is in use by ${process}`
  return new TsstackError(
    'ALREADY_EXISTS',
    `Cannot publish port ${describe(request, from)}: ${state}`,
    {
      hint: 'Stop what uses the port, or publish another one.',
    },
  )
}

function describe(request: PortRequest, port: number | string): string {
  const host = request.hostIp.includes(':') ? `[${request.hostIp}]` : request.hostIp
  return `${host}:${port}/${request.protocol}`
}
