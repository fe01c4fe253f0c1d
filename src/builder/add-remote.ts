/** ADD of a URL: fetched over HTTP, checked, kept in memory until it is copied. */
import { createHash } from 'node:crypto'
import path from 'node:path'
import { TsstackError } from '../errors.ts'

export interface AddedContent {
  /** The last part of the URL's path. */
  readonly name: string
  readonly content: Uint8Array
  /** `sha256:…`. */
  readonly digest: string
}

const MAX_BYTES = 1 << 30
const TIMEOUT_MS = 300_000

function refuse(url: string, state: string, hint?: string): TsstackError {
  const options = hint === undefined ? {} : { hint }
  return new TsstackError('FAILED_PRECONDITION', `can't fetch "${url}": ${state}`, options)
}

async function read(url: string, response: Response): Promise<Buffer> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += part.length
    if (size > MAX_BYTES) throw refuse(url, `it is larger than ${MAX_BYTES} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

async function fetchOne(
  url: string,
  { checksum, signal }: { readonly checksum: string | undefined; readonly signal: AbortSignal },
): Promise<AddedContent> {
  if (!/^https?:\/\//.test(url) || /\.git(?:#.*)?$/.test(url))
    throw new TsstackError(
      'UNIMPLEMENTED',
      `can't add "${url}": git repositories are not fetched`,
      {
        hint: 'Give it as an additional context, or clone it with RUN',
      },
    )
  const name = path.posix.basename(new URL(url).pathname)
  if (name === '') throw refuse(url, 'it names no file')
  let content: Buffer
  try {
    const stop = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)])
    const response = await fetch(url, { signal: stop })
    if (!response.ok) throw refuse(url, `the answer is ${response.status}`)
    content = await read(url, response)
  } catch (cause) {
    if (cause instanceof TsstackError) throw cause
    throw new TsstackError('UNAVAILABLE', `can't fetch "${url}": the host can't be reached`, {
      cause,
    })
  }
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`
  if (checksum !== undefined && checksum !== digest)
    throw refuse(
      url,
      `its digest is "${digest}", not "${checksum}"`,
      'Is it the file that you meant?',
    )
  return { name, content, digest }
}

/** @throws {FAILED_PRECONDITION} {UNAVAILABLE} {UNIMPLEMENTED} */
export async function fetchAdded(
  urls: readonly string[],
  options: { readonly checksum: string | undefined; readonly signal: AbortSignal },
): Promise<AddedContent[]> {
  if (options.checksum !== undefined && urls.length !== 1)
    throw new TsstackError('INVALID_ARGUMENT', '"--checksum" is for exactly one URL')
  return Promise.all(urls.map((url) => fetchOne(url, options)))
}
