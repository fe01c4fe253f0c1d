/**
 * Which addresses strangers may send the daemon to, which has the host's own network: a Dockerfile by ADD, which shall reach
 * no more by it than its RUN steps do; a registry by redirects and by the token service that it names.
 */
import dns from 'node:dns'
import net, { type LookupFunction } from 'node:net'
import { TsstackError } from '../errors.ts'

function blockList(subnets: readonly string[]): net.BlockList {
  const list = new net.BlockList()
  for (const subnet of subnets) {
    const [address = '', bits] = subnet.split('/')
    list.addSubnet(address, Number(bits), net.isIPv6(address) ? 'ipv6' : 'ipv4')
  }
  return list
}

/** Link-local, where clouds tell machines their credentials; what is no address of one machine. */
const NEVER = blockList(['169.254.0.0/16', 'fe80::/10', '224.0.0.0/3', 'ff00::/8'])
/** This host's own; "0.0.0.0" leads there, too. IPv4 in IPv6 is compared as IPv4. */
const LOOPBACK = blockList(['127.0.0.0/8', '0.0.0.0/8', '::1/128', '::/128'])

/** @param reachesHost - the build has the network of the host: its RUN steps reach the loopback interface as well */
export function mayFetchFrom(address: string, reachesHost: boolean): boolean {
  const family = net.isIPv6(address) ? 'ipv6' : 'ipv4'
  if (NEVER.check(address, family)) return false
  return reachesHost || !LOOPBACK.check(address, family)
}

function refused(host: string): TsstackError {
  return new TsstackError(
    'PERMISSION_DENIED',
    `"${host}" is an address of this host or link-local`,
    { hint: 'Loopback addresses need "build.network: host"' },
  )
}

/** A host that is written as an address is never looked up. @throws {PERMISSION_DENIED} */
export function checkHost(url: URL, reachesHost: boolean): void {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (net.isIP(host) !== 0 && !mayFetchFrom(host, reachesHost)) throw refused(host)
}

/** A look-up whose answers are those that are connected to: one that is not allowed fails it. */
export function guardedLookup(reachesHost: boolean): LookupFunction {
  return (hostname, options, callback) => {
    dns.lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) {
        callback(error, [])
        return
      }
      const [first = { address: '', family: 0 }] = addresses // there is one, or an error
      if (addresses.some(({ address }) => !mayFetchFrom(address, reachesHost)))
        callback(refused(hostname), [])
      else if (options.all === true) callback(null, addresses)
      else callback(null, first.address, first.family)
    })
  }
}

/** What a host's name stands for, for programs that are told the address. @throws {PERMISSION_DENIED} {UNAVAILABLE} */
export async function allowedAddress(host: string, reachesHost: boolean): Promise<string> {
  const found = await dns.promises.lookup(host, { all: true }).catch((cause: unknown) => {
    throw new TsstackError('UNAVAILABLE', `"${host}" can't be looked up`, { cause })
  })
  if (found.some(({ address }) => !mayFetchFrom(address, reachesHost))) throw refused(host)
  return found[0]?.address ?? host
}
