/** The text of /etc/resolv.conf, /etc/hosts and /etc/hostname of a container, and reading the host's. Pure. */
import { parseAddress } from './ip-address.ts'

/** glibc reads three (man 5 resolv.conf). */
const MAX_NAME_SERVERS = 3
const MAX_LINES = 1000

/** What resolv.conf says. */
export interface ResolverSettings {
  readonly nameServers: readonly string[]
  readonly search: readonly string[]
  /** `ndots:1` and the like. */
  readonly options: readonly string[]
}

/** Reads a resolv.conf; what is not understood is left out. The last `search` or `domain` line counts. */
export function parseResolvConf(text: string): ResolverSettings {
  const nameServers: string[] = []
  const options: string[] = []
  let search: readonly string[] = []
  for (const line of text.split('\n').slice(0, MAX_LINES)) {
    const [word = '', ...rest] = line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/)
    if (word === 'nameserver' && rest[0] !== undefined && isNameServer(rest[0]))
      nameServers.push(rest[0])
    if (word === 'search' || word === 'domain') search = rest
    if (word === 'options') options.push(...rest)
  }
  return { nameServers: nameServers.slice(0, MAX_NAME_SERVERS), search, options }
}

function isNameServer(text: string): boolean {
  return parseAddress(text.split('%')[0] ?? '') !== undefined
}

/** Writes a resolv.conf. */
export function makeResolvConf(settings: ResolverSettings): string {
  const lines = [
    ...settings.nameServers.map((address) => `nameserver ${oneLine(address)}`),
    ...(settings.search.length === 0 ? [] : [`search ${settings.search.map(oneLine).join(' ')}`]),
    ...(settings.options.length === 0
      ? []
      : [`options ${settings.options.map(oneLine).join(' ')}`]),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

export interface HostsRequest {
  /** The container's own name, with its domain where it has one. */
  readonly hostname: string
  readonly domainname?: string
  /** Its own addresses. */
  readonly addresses: readonly string[]
  /** Compose's `extra_hosts`: `name:address` or `name=address`; the address may be `host-gateway`. */
  readonly extraHosts: readonly string[]
  /** What `host-gateway` stands for. */
  readonly hostGateway?: string
  /** What comes first: a whole file. Default: the names of the loopback interface. */
  readonly base?: string
}

const LOOPBACK_HOSTS = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`

/** Writes /etc/hosts. Entries of `extraHosts` without an address are left out. */
export function makeHosts(request: HostsRequest): string {
  const name = oneLine(request.hostname)
  const full =
    request.domainname === undefined ? name : `${name}.${oneLine(request.domainname)} ${name}`
  const extra = request.extraHosts.flatMap((entry) => {
    const { host, address } = splitExtraHost(entry)
    const resolved = address === 'host-gateway' ? request.hostGateway : address
    return resolved === undefined || resolved === ''
      ? []
      : [`${oneLine(resolved)}\t${oneLine(host)}`]
  })
  const own = request.addresses.map((address) => `${oneLine(address)}\t${full}`)
  const base = request.base ?? LOOPBACK_HOSTS
  const start = base === '' || base.endsWith('\n') ? base : `${base}\n`
  return start + [...extra, ...own].map((line) => `${line}\n`).join('')
}

/** `name:address` has no brackets around IPv6: the name ends at the first `:` or `=`. */
function splitExtraHost(entry: string): { readonly host: string; readonly address: string } {
  const match = /^([^:=]+)[:=]\[?([^\]]*)\]?$/.exec(entry)
  return { host: match?.[1] ?? '', address: match?.[2] ?? '' }
}

/** A value never makes a line of its own. */
function oneLine(text: string): string {
  return text.replaceAll(/[\s\0]+/g, '')
}
