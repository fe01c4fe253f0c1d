/** ADD of a URL: fetched over HTTP into a file, and checked. */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import path from 'node:path'
import { TsstackError } from '../errors.ts'
import type { Added, FetchOptions } from './added.ts'
import { checkHost, guardedLookup } from '../registry/remote-address.ts'

const MAX_BYTES = 16 * 2 ** 30
const MAX_REDIRECTS = 10
const MAX_NAME_BYTES = 255
/** Of the whole, and without a byte. */
const TIMEOUT_MS = 3_600_000
const IDLE_MS = 60_000
/** Of files from elsewhere (Dockerfile reference, "Adding files from a URL"). */
const MODE = 0o600
/** Where the path of the URL names none; as BuildKit has it. */
const UNNAMED = '__unnamed__'

function refuse(url: string, state: string, hint?: string): TsstackError {
  const options = hint === undefined ? {} : { hint }
  return new TsstackError('FAILED_PRECONDITION', `can't fetch "${url}": ${state}`, options)
}

/** One request; redirects are the caller's. */
function ask(url: URL, { reachesHost, signal }: FetchOptions): Promise<http.IncomingMessage> {
  checkHost(url, reachesHost)
  const { get } = url.protocol === 'https:' ? https : http
  return new Promise((resolve, reject) => {
    const request = get(
      url,
      { lookup: guardedLookup(reachesHost), signal, agent: false, timeout: IDLE_MS },
      resolve,
    )
    request.on('error', reject)
    request.on('timeout', () => {
      request.destroy(new Error(`nothing comes for ${IDLE_MS / 1000} s`))
    })
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

/** @returns its digest, and when it was changed last: seconds since the epoch, 0 where the server does not say */
async function receive(
  url: string,
  handle: fs.promises.FileHandle,
  options: FetchOptions,
): Promise<{ readonly digest: string; readonly modified: number }> {
  const hash = createHash('sha256')
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(TIMEOUT_MS)])
  const response = await follow(url, { ...options, signal })
  let size = 0
  for await (const part of response as AsyncIterable<Buffer>) {
    size += part.length
    if (size > MAX_BYTES) throw refuse(url, `it is larger than ${MAX_BYTES} bytes`)
    hash.update(part)
    await handle.writeFile(part)
  }
  const modified = Date.parse(response.headers['last-modified'] ?? '')
  return {
    digest: `sha256:${hash.digest('hex')}`,
    modified: Number.isNaN(modified) ? 0 : Math.max(modified / 1000, 0),
  }
}

/** With its mode and its time. @returns its digest */
async function download(url: string, file: string, options: FetchOptions): Promise<string> {
  const handle = await fs.promises.open(file, 'wx', MODE)
  try {
    const { digest, modified } = await receive(url, handle, options)
    await handle.utimes(modified, modified)
    return digest
  } catch (cause) {
    if (cause instanceof TsstackError && cause.code === 'PERMISSION_DENIED')
      throw new TsstackError(cause.code, `can't fetch "${url}": ${cause.message}`, {
        cause,
        ...(cause.hint === undefined ? {} : { hint: cause.hint }),
      })
    if (cause instanceof TsstackError) throw cause
    throw new TsstackError('UNAVAILABLE', `can't fetch "${url}": ${String(cause)}`, { cause })
  } finally {
    await handle.close()
  }
}

/** The last part of the URL's path, as it stands there (BuildKit decodes none). */
function nameOf(url: string): string {
  const name = path.posix.basename(new URL(url).pathname)
  if (name.length > MAX_NAME_BYTES) throw refuse(url, 'its name is too long for a file')
  return name === '' ? UNNAMED : name
}

/** @param directory - empty, and the caller's to remove */
export async function addUrl(
  url: string,
  directory: string,
  options: FetchOptions,
): Promise<Added> {
  if (!URL.canParse(url)) throw refuse(url, 'it is no URL')
  const name = nameOf(url)
  const file = path.join(directory, name)
  const { checksum } = options
  const known = { directory, path: name, isGit: false }
  if (checksum === undefined) {
    const digest = await download(url, file, options)
    return { ...known, identity: `${name} ${digest}`, fetch: () => Promise.resolve() }
  }
  if (!/^sha256:[0-9a-f]{64}$/.test(checksum))
    throw new TsstackError('INVALID_ARGUMENT', `"--checksum=${checksum}" is no sha256:<64 digits>`)
  const fetch = async (): Promise<void> => {
    const digest = await download(url, file, options)
    const state = `its digest is "${digest}", not "${checksum}"`
    if (digest !== checksum) throw refuse(url, state, 'Is it the file that you meant?')
  }
  return { ...known, identity: `${name} ${checksum}`, fetch }
}
