/** How hosts are reached: agents with the certificates and the proxy that are right for each. */
import { readdirSync, readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import path from 'node:path'
import tls from 'node:tls'
import type { Network } from './http-exchange.ts'
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
  const read = (name: string): string => readFileSync(path.join(directory, name), 'utf8')
  return {
    authorities: names.filter((name) => name.endsWith('.crt')).map(read),
    pairs: names
      .filter((name) => name.endsWith('.cert'))
      .filter((name) => names.includes(name.replace(/cert$/, 'key')))
      .map((name) => ({ cert: read(name), key: read(name.replace(/cert$/, 'key')) })),
  }
}

function trusted(authorities: readonly string[]): string[] {
  return [...tls.getCACertificates('default'), ...tls.getCACertificates('system'), ...authorities]
}

/**
 * Connections are kept until `close`.
 *
 * A host that is listed as insecure, or is this machine, may show any certificate; unless its own authority is known.
 */
export function openNetwork(settings: RegistrySettings): Network {
  const agents = new Map<string, http.Agent>()

  function open(url: URL): http.Agent {
    const { host } = url
    const options = {
      keepAlive: true,
      maxSockets: MAX_SOCKETS,
      // This machine is never behind a proxy.
      ...(isLoopback(host) ? {} : { proxyEnv: settings.proxy }),
    }
    if (url.protocol === 'http:') return new http.Agent(options)
    const { authorities, pairs } = certificatesOf(settings.certsDir, host)
    const [pair] = pairs
    const isLax = authorities.length === 0 && (isLoopback(host) || settings.insecure.includes(host))
    return new https.Agent({
      ...options,
      ...(pair ?? {}),
      ...(isLax ? { rejectUnauthorized: false } : { ca: trusted(authorities) }),
    })
  }

  return {
    agentFor(url) {
      const known = agents.get(url.origin)
      if (known !== undefined) return known
      const agent = open(url)
      agents.set(url.origin, agent)
      return agent
    },
    close() {
      for (const agent of agents.values()) agent.destroy()
      agents.clear()
    },
  }
}
