/** What the host's kernel knows of the connections that it leads to a container. */
import {
  areUnheardConnectionsTo,
  forgetConnectionsTo,
  type WhichConnections,
} from '../../network/firewall/connection-tracking.ts'
import type { Context } from '../context.ts'

/** What comes of them next is led by the rules of then. */
export function forgetConnections(context: Context, id: string, which: WhichConnections): void {
  forgetConnectionsTo(addressesOf(context, id), which)
}

/** Whether clients are going to say something again that the container did not hear. */
export function areConnectionsUnheard(context: Context, id: string): Promise<boolean> {
  return areUnheardConnectionsTo(addressesOf(context, id))
}

function addressesOf({ networks }: Context, id: string): string[] {
  return networks
    .leasesOf(id)
    .flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6].filter((address) => address !== undefined))
}
