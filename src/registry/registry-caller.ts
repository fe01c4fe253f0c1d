/** Requests to one registry: where it is, who one is, what its refusals mean. */
import { TsstackError } from '../errors.ts'
import { createAuthorizer, type Authorizer } from './authorizer.ts'
import type { Credentials } from './credentials.ts'
import {
  discard,
  exchange,
  type HttpRequest,
  type HttpResponse,
  type Network,
} from './http-exchange.ts'
import { failureOfResponse } from './registry-error.ts'
import { isLoopback, type RegistrySettings } from './registry-settings.ts'
import type { RetryOptions } from './transient-error.ts'

export interface RegistryOptions {
  readonly settings: RegistrySettings
  readonly credentials?: Credentials | undefined
  readonly signal?: AbortSignal | undefined
  readonly onRetry?: RetryOptions['onRetry']
  /** Asks the token service for a token that can stand for the password. */
  readonly isLogin?: boolean
  /** Asked instead of the registry's own host. */
  readonly mirror?: URL
  /** Blobs that are larger are sent in chunks of so many bytes. Default: 16 MiB. */
  readonly chunkBytes?: number
}

const CHUNK_BYTES = 16 << 20
/** There is somebody else to ask. */
const MIRROR_ATTEMPTS = 2

export interface Caller {
  readonly call: (request: CallRequest) => Promise<HttpResponse>
  readonly retries: RetryOptions
  readonly chunkBytes: number
  readonly base: () => Promise<URL>
  readonly identityToken: () => string | undefined
}

export interface CallRequest extends Omit<
  HttpRequest,
  'url' | 'authorization' | 'namedBy' | 'signal'
> {
  readonly url: URL
  readonly scopes: readonly string[]
  /** After `Cannot`. */
  readonly what: string
  /** Other than 2xx. */
  readonly accepted?: readonly number[]
}

/**
 * Where the registry is: https, or plain HTTP on this machine and for hosts that are listed, where https does not answer.
 */
async function findBase(
  host: string,
  network: Network,
  { settings, signal }: RegistryOptions,
): Promise<URL> {
  const secure = new URL(`https://${host}/`)
  if (!isLoopback(host) && !settings.insecure.includes(host)) return secure
  try {
    const response = await exchange(network, { method: 'GET', url: new URL('v2/', secure), signal })
    discard(response)
    return secure
  } catch (error) {
    // What is not trusted is not spoken to in the clear instead.
    if (error instanceof TsstackError && ['CANCELLED', 'FAILED_PRECONDITION'].includes(error.code))
      throw error
    return new URL(`http://${host}/`)
  }
}

/** For one registry and one user; finds out with the first request where the registry is. */
export function createCaller(host: string, network: Network, options: RegistryOptions): Caller {
  const { signal, onRetry, mirror } = options
  const credentials = mirror === undefined ? options.credentials : undefined
  const authorizer: Authorizer = createAuthorizer({
    ...{ network, credentials, signal, isLogin: options.isLogin ?? false },
  })
  let base: Promise<URL> | undefined
  const findOnce = (): Promise<URL> => {
    base ??=
      mirror === undefined
        ? findBase(host, network, options)
        : Promise.resolve(new URL(mirror.href.replace(/\/?$/, '/')))
    return base
  }
  return {
    base: findOnce,
    identityToken: authorizer.identityToken,
    retries: { signal, onRetry, ...(mirror === undefined ? {} : { attempts: MIRROR_ATTEMPTS }) },
    chunkBytes: options.chunkBytes ?? CHUNK_BYTES,
    async call({ url, scopes, what, accepted = [], ...request }) {
      const { origin: home, href } = await findOnce()
      for (let attempt = 0; ; attempt++) {
        // An upload may be sent on to another host: that one gets no credentials.
        const authorization = url.origin === home ? authorizer.headerFor(scopes) : undefined
        const namedBy = url.origin === home ? undefined : new URL(href)
        const response = await exchange(network, {
          ...request,
          ...{ url, authorization, namedBy, signal },
        })
        const { status } = response
        if ((status >= 200 && status < 300) || accepted.includes(status)) return response
        const isFirst = attempt === 0 && status === 401 && response.url.origin === home
        if (isFirst && (await authorizer.answer({ response, scopes, sent: authorization }))) {
          discard(response)
          continue
        }
        const hasLogin = credentials !== undefined
        throw await failureOfResponse(response, what, { home: new URL(href), hasLogin })
      }
    },
  }
}

/** @param path - below the version: `team/app/tags/list` */
export async function pathAt({ base }: Caller, path: string): Promise<URL> {
  return new URL(`v2/${path}`, await base())
}

/** What a token for writing is for. */
export function pushScope(repository: string): string[] {
  return [`repository:${repository}:pull,push`]
}

/** What a token for reading is for. */
export function pullScope(repository: string): string[] {
  return [`repository:${repository}:pull`]
}
