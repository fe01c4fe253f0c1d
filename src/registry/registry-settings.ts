/** What the host says of registries: which may be spoken to in the clear, which mirrors to ask first, what to trust. */
import { TsstackError } from '../errors.ts'

export interface RegistrySettings {
  /** `TSSTACK_INSECURE_REGISTRIES`: hosts (`host[:port]`) that may speak plain HTTP, or show any certificate. */
  readonly insecure: readonly string[]
  /** `TSSTACK_REGISTRY_MIRRORS`: URLs that are asked before docker.io. They get no credentials. */
  readonly mirrors: readonly URL[]
  /** `TSSTACK_CERTS_DIR`: `HOST/*.crt` are authorities, `HOST/*.cert` with `*.key` show who we are. Default: `/etc/docker/certs.d`. */
  readonly certsDir: string
  /** `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, in small letters too. */
  readonly proxy: Readonly<Record<string, string>>
}

const PROXY_NAMES = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY']

function words(text: string | undefined): string[] {
  return (text ?? '').split(/[\s,]+/).filter((word) => word !== '')
}

function mirrorOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && (url.protocol === 'https:' || isLoopback(url.host))) return url
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot use TSSTACK_REGISTRY_MIRRORS: "${text}" is not a URL with https`,
  )
}

/** Whether a host, with or without a port, is this machine: names are not looked up. Pure. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/:\d+$/, '')
  return name === 'localhost' || name === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(name)
}

/** @throws {INVALID_ARGUMENT} */
export function readRegistrySettings(
  environment: Readonly<Record<string, string | undefined>>,
): RegistrySettings {
  const proxy = PROXY_NAMES.flatMap((name) => {
    const value = environment[name.toLowerCase()] ?? environment[name]
    return value === undefined || value === '' ? [] : [[name, value] as const]
  })
  const certsDir = environment['TSSTACK_CERTS_DIR'] ?? ''
  return {
    insecure: words(environment['TSSTACK_INSECURE_REGISTRIES']),
    mirrors: words(environment['TSSTACK_REGISTRY_MIRRORS']).map(mirrorOf),
    certsDir: certsDir === '' ? '/etc/docker/certs.d' : certsDir,
    proxy: Object.fromEntries(proxy),
  }
}
