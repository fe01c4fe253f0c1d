/** Ports of services that have no network of their own, into which one could lead. Pure. */
import { TsstackError } from '../errors.ts'
import type { Service, Stack } from '../spec/stack.ts'
import { builtInNetworkOf } from './built-in-network.ts'

const WHY = {
  host: 'its programs listen on the host itself',
  none: 'it has no network',
} as const

/**
 * @returns warnings: with the network of the host, or with none, nothing is published
 * @throws {INVALID_ARGUMENT} for a service that shares the network of another: that one's ports would have to be published
 */
export function unpublishablePorts(stack: Stack, services: ReadonlySet<string>): string[] {
  return Object.entries(stack.services).flatMap(([name, service]) => {
    if (!services.has(name) || (service.ports ?? []).length === 0) return []
    const mode = modeOf(name, service, stack)
    if (mode === 'host' || mode === 'none')
      return [`service "${name}": ports has no effect: ${WHY[mode]}`]
    const [, owner] = /^(?:service|container):(.*)$/.exec(mode) ?? []
    if (owner === undefined) return []
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot publish ports of service "${name}": it has the network of "${owner}"`,
      { hint: `Write them at "${owner}"` },
    )
  })
}

function modeOf(name: string, service: Service, stack: Stack): string {
  return service.network_mode ?? builtInNetworkOf(name, service, stack) ?? ''
}
