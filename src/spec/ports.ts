/**
 * The grammar of `ports` (compose-spec 05-services.md#ports):
 * `[[IP:][HOST[-HOST]]:]CONTAINER[-CONTAINER][/PROTOCOL]`.
 */
import { isIPAddress } from './ip-address.ts'

/** One published port; `published` is absent when any free one will do, a range when any of it will. */
export interface PortMapping {
  readonly mode: string
  readonly target: number
  readonly published?: string
  readonly protocol: string
  readonly host_ip?: string
}

interface Range {
  readonly first: number
  readonly last: number
}

interface PortParts {
  readonly hostIp: string
  readonly host: string
  readonly container: string
  readonly protocol: string
}

const PROTOCOLS = new Set(['tcp', 'udp', 'sctp'])
const MAX_RANGE = 65_536

/** The mappings that a short syntax stands for, or what is wrong with it. */
export function parsePort(text: string): readonly PortMapping[] | string {
  const parts = splitPort(text)
  if (typeof parts === 'string') return parts
  const { hostIp, host, container, protocol } = parts
  if (container === '') return `No port specified: ${text === '' ? '<empty>' : text}`
  const target = parseRange(container)
  if (target === undefined) return `Invalid containerPort: ${container}`
  const published = host === '' ? undefined : parseRange(host)
  if (host !== '' && published === undefined) return `Invalid hostPort: ${host}`
  if (!PROTOCOLS.has(protocol)) return `Invalid proto: ${protocol}`
  if (hostIp !== '' && !isIPAddress(hostIp)) return `Invalid ip address: ${hostIp}`
  const base = { mode: 'ingress', protocol, ...(hostIp === '' ? {} : { host_ip: hostIp }) }
  return expand(base, target, published)
}

function expand(
  base: Omit<PortMapping, 'target' | 'published'>,
  target: Range,
  published: Range | undefined,
): readonly PortMapping[] | string {
  const count = target.last - target.first + 1
  if (count > MAX_RANGE) return 'Invalid ranges specified'
  const offered = published === undefined ? 0 : published.last - published.first + 1
  if (published !== undefined && offered !== count) {
    if (count !== 1) {
      return `Invalid ranges specified for container and host Ports: ${shown(target)} and ${shown(published)}`
    }
    return [{ ...base, target: target.first, published: shown(published) }]
  }
  return Array.from({ length: count }, (_, index) => ({
    ...base,
    target: target.first + index,
    ...(published === undefined ? {} : { published: String(published.first + index) }),
  }))
}

function shown({ first, last }: Range): string {
  return first === last ? String(first) : `${String(first)}-${String(last)}`
}

function splitPort(text: string): PortParts | string {
  const slash = text.indexOf('/')
  const ports = slash === -1 ? text : text.slice(0, slash)
  const protocol = slash === -1 ? 'tcp' : text.slice(slash + 1).toLowerCase()
  const bracketed = /^\[([^\]]*)\]:(.*)$/.exec(ports)
  if (bracketed !== null) {
    const [host = '', container = '', ...more] = (bracketed[2] ?? '').split(':')
    if (more.length > 0) return `Invalid ip address: ${ports}`
    const single = !(bracketed[2] ?? '').includes(':')
    const hostIp = bracketed[1] ?? ''
    return single
      ? { hostIp, host: '', container: host, protocol }
      : { hostIp, host, container, protocol }
  }
  const parts = ports.split(':')
  if (parts.length > 3) return `Invalid ip address: ${parts.slice(0, -2).join(':')}`
  const [container = '', host = '', hostIp = ''] = parts.reverse()
  return { hostIp, host, container, protocol: protocol === '' ? 'tcp' : protocol }
}

/** A port or a range of ports, 0 to 65535. */
export function parseRange(text: string): Range | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text)
  if (match === null) return undefined
  const first = Number(match[1])
  const last = Number(match[2] ?? match[1])
  return last <= 65_535 && first <= last ? { first, last } : undefined
}
