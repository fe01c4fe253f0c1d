/** Variables that every build has (Dockerfile reference, "Automatic platform ARGs" and "Predefined ARGs"). */
import { HOST_ARCHITECTURE } from '../engine/images/image.ts'

/** BUILDPLATFORM, TARGETPLATFORM and their parts: it builds for this machine alone. */
export function platformArguments(target: string | undefined): Readonly<Record<string, string>> {
  const platform = `linux/${HOST_ARCHITECTURE}`
  return {
    BUILDPLATFORM: platform,
    BUILDOS: 'linux',
    BUILDARCH: HOST_ARCHITECTURE,
    BUILDVARIANT: '',
    TARGETPLATFORM: platform,
    TARGETOS: 'linux',
    TARGETARCH: HOST_ARCHITECTURE,
    TARGETVARIANT: '',
    TARGETSTAGE: target ?? 'default',
  }
}

const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY']

/** Known without an ARG; not part of the cache key nor of the image. */
export const PROXY_ARGUMENTS: ReadonlySet<string> = new Set(
  PROXIES.flatMap((name) => [name, name.toLowerCase()]),
)
