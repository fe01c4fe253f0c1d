/** How hosts are reached: agents with the certificates and the proxy that are right for each. */
import { readdirSync, readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import path from 'node:path'
import tls from 'node:tls'
import type { LookupFunction } from 'node:net'
import type { Network } from './http-exchange.ts'
import { TsstackError } from '../errors.ts'
import { checkHost, guardedLookup } from './remote-address.ts'
import { isLoopback, type RegistrySettings } from './registry-settings.ts'

const MAX_SOCKETS = 8

interface HostCertificates {
  readonly authorities: readonly string[]
  /** Of the client: each a certificate and its key. */
  readonly pairs: readonly { readonly cert: string; readonly key: string }[]
}

/** What Docker keeps in certs.d/HOST. */
function certificatesOf(certsDir: string, host: string): HostCertificates {
  const directory = path.join(certsDir, host)
  let names: string[]
  try {
    names = readdirSync(directory)
  } catch {
    return { authorities: [], pairs: [] }
  }
  const read = (name: string): string => {
    try {
      return readFileSync(path.join(directory, name), 'utf8')
    } catch (cause) {
      const file = path.join(directory, name)
      throw new TsstackError('FAILED_PRECONDITION', `Cannot read certificate "${file}"`, { cause })
    }
  }
  return {
    authorities: names.filter((name) => name.endsWith('.crt')).map(read),
    pairs: names
      .filter((name) => name.endsWith('.cert'))
      .filter((name) => names.includes(name.replace(/cert$/, 'key')))
      .map((name) => ({ cert: read(name), key: read(name.replace(/cert$/, 'key')) })),
  }
}

function trusted(authorities: readonly string[]): string[] {
  const known = [...tls.getCACertificates('default'), ...tls.getCACertificates('system')]
  return [...new Set(known), ...authorities]
}

/**
 * Connections are kept until `close`.
 *
 * A host that is listed as insecure, or is this machine, may show any certificate; unless its own authority is known.
 */
export function openNetwork(settings: RegistrySettings): Network {
  const agents = new Map<string, http.Agent>()
  /** Of all hosts without certificates of their own: one takes 2 MB and 65 ms, and there may be many redirects. */
  let common: tls.SecureContext | undefined

  function contextOf({ authorities, pairs }: HostCertificates): tls.SecureContext {
    const [pair] = pairs
    if (authorities.length > 0 || pair !== undefined)
      return tls.createSecureContext({ ca: trusted(authorities), ...pair })
    common ??= tls.createSecureContext({ ca: trusted([]) })
    return common
  }

  /** Whose answers a proxy looks up, we do not. */
  const isProxied = (url: URL): boolean =>
    settings.proxy[url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'] !== undefined

  /** A registry on this machine may send us on to others here; one elsewhere may not. */
  function guard(url: URL, namedBy: URL | undefined): { readonly lookup?: LookupFunction } {
    if (namedBy === undefined || settings.insecure.includes(url.host)) return {}
    const reachesHost = isLoopback(namedBy.host)
    checkHost(url, reachesHost)
    return isProxied(url) ? {} : { lookup: guardedLookup(reachesHost) }
  }

  function open(url: URL, namedBy: URL | undefined): http.Agent {
    const { host } = url
    const options = {
      keepAlive: true,
      maxSockets: MAX_SOCKETS,
      ...guard(url, namedBy),
      // This machine is never behind a proxy.
      ...(isLoopback(host) ? {} : { proxyEnv: settings.proxy }),
    }
    if (url.protocol === 'http:') return new http.Agent(options)
    const certificates = certificatesOf(settings.certsDir, host)
    const { authorities } = certificates
    const isLax = authorities.length === 0 && (isLoopback(host) || settings.insecure.includes(host))
    return new https.Agent({
      ...options,
      rejectUnauthorized: !isLax,
      secureContext: contextOf(certificates),
    })
  }

  return {
    certsDir: settings.certsDir,
    agentFor(url, namedBy) {
      const stranger = namedBy?.host === url.host ? undefined : namedBy
      const key = `${url.origin} ${stranger?.origin ?? ''}`
      const known = agents.get(key)
      if (known !== undefined) return known
      const agent = open(url, stranger)
      agents.set(key, agent)
      return agent
    },
    close() {
      for (const agent of agents.values()) agent.destroy()
      agents.clear()
    },
  }
}
