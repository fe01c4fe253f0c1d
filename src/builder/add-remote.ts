/** ADD of a URL: fetched over HTTP, checked, kept in memory until it is copied. */
import { createHash } from 'node:crypto'
import http from 'node:http'
import https from 'node:https'
import path from 'node:path'
import { TsstackError } from '../errors.ts'
import { checkHost, guardedLookup } from './remote-address.ts'

export interface AddedContent {
  /** The last part of the URL's path. */
  readonly name: string
  /** `sha256:…`. */
  readonly digest: string
  /** What has this digest; fetched now, unless it had to be before. */
  readonly read: () => Promise<Uint8Array>
}

export interface FetchOptions {
  /** `--checksum`. */
  readonly checksum: string | undefined
  /** Whether addresses of this host's loopback interface are allowed. */
  readonly reachesHost: boolean
  readonly signal: AbortSignal
}

const MAX_BYTES = 1 << 30
const MAX_REDIRECTS = 10
const TIMEOUT_MS = 300_000

function refuse(url: string, state: string, hint?: string): TsstackError {
  const options = hint === undefined ? {} : { hint }
  return new TsstackError('FAILED_PRECONDITION', `can't fetch "${url}": ${state}`, options)
}

/** One request; redirects are the caller's. */
function ask(url: URL, { reachesHost, signal }: FetchOptions): Promise<http.IncomingMessage> {
  checkHost(url, reachesHost)
  const { get } = url.protocol === 'https:' ? https : http
  return new Promise((resolve, reject) => {
    get(url, { lookup: guardedLookup(reachesHost), signal, agent: false }, resolve).on(
      'error',
      reject,
    )
  })
}

/** Follows redirects: each leads to where a first request might go, and no further. */
async function follow(url: string, options: FetchOptions): Promise<http.IncomingMessage> {
  let at = new URL(url)
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const response = await ask(at, options)
    const { statusCode = 0, headers } = response
    if (statusCode === 200) return response
    response.destroy()
    const { location } = headers
    if (![301, 302, 303, 307, 308].includes(statusCode) || location === undefined)
      throw refuse(url, `the answer is ${statusCode}`)
    if (!URL.canParse(location, at.href))
      throw refuse(url, `it leads to "${location}", which is no URL`)
    at = new URL(location, at)
    if (!/^https?:$/.test(at.protocol)) throw refuse(url, `it leads to "${at.href}"`)
  }
  throw refuse(url, `it is redirected more than ${MAX_REDIRECTS} times`)
}

async function download(url: string, options: FetchOptions): Promise<Buffer> {
  const parts: Buffer[] = []
  let size = 0
  try {
    const signal = AbortSignal.any([options.signal, AbortSignal.timeout(TIMEOUT_MS)])
    for await (const part of await follow(url, { ...options, signal })) {
      parts.push(part as Buffer)
      size += (part as Buffer).length
      if (size > MAX_BYTES) throw refuse(url, `it is larger than ${MAX_BYTES} bytes`)
    }
  } catch (cause) {
    if (cause instanceof TsstackError && cause.code === 'PERMISSION_DENIED')
      throw new TsstackError(cause.code, `can't fetch "${url}": ${cause.message}`, {
        cause,
        ...(cause.hint === undefined ? {} : { hint: cause.hint }),
      })
    if (cause instanceof TsstackError) throw cause
    throw new TsstackError('UNAVAILABLE', `can't fetch "${url}": ${String(cause)}`, { cause })
  }
  return Buffer.concat(parts)
}

function checkSupported(url: string): void {
  if (/^https?:\/\//.test(url) && !/\.git(?:#.*)?$/.test(url)) return
  throw new TsstackError('UNIMPLEMENTED', `can't add "${url}": git repositories are not fetched`, {
    hint: 'Give it as an additional context, or clone it with RUN',
  })
}

function digestOf(content: Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`
}

async function addOne(url: string, options: FetchOptions): Promise<AddedContent> {
  checkSupported(url)
  if (!URL.canParse(url)) throw refuse(url, 'it is no URL')
  const name = path.posix.basename(new URL(url).pathname)
  if (name === '') throw refuse(url, 'it names no file')
  const { checksum } = options
  if (checksum === undefined) {
    const content = await download(url, options)
    return { name, digest: digestOf(content), read: () => Promise.resolve(content) }
  }
  if (!/^sha256:[0-9a-f]{64}$/.test(checksum))
    throw new TsstackError('INVALID_ARGUMENT', `"--checksum=${checksum}" is no sha256:<64 digits>`)
  const read = async (): Promise<Uint8Array> => {
    const content = await download(url, options)
    const digest = digestOf(content)
    if (digest === checksum) return content
    const state = `its digest is "${digest}", not "${checksum}"`
    throw refuse(url, state, 'Is it the file that you meant?')
  }
  return { name, digest: checksum, read }
}

/**
 * What is named with its checksum is fetched only when it is read: a step that the cache knows asks nobody.
 * @throws {FAILED_PRECONDITION} {UNAVAILABLE} {UNIMPLEMENTED} {PERMISSION_DENIED} an address that is not for builds
 */
export async function findAdded(
  urls: readonly string[],
  options: FetchOptions,
): Promise<AddedContent[]> {
  if (options.checksum !== undefined && urls.length !== 1)
    throw new TsstackError('INVALID_ARGUMENT', '"--checksum" is for exactly one URL')
  return Promise.all(urls.map((url) => addOne(url, options)))
}
