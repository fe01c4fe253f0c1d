/**
 * A blob into a repository ("Pushing blobs" of OCI Distribution 1.1):
 *
 *   HEAD blob ──200──▶ it is there
 *   POST uploads/?mount=digest&from=other ──201──▶ it is there now
 *                                         ──202──▶ an upload
 *   POST uploads/                         ──202──▶ an upload
 *
 *   a small one   PUT upload?digest=… with the whole
 *   a large one   PATCH upload, chunk by chunk ──▶ PUT upload?digest=…
 *                   cut off, 5xx, 416 ──▶ GET upload ──204, Range──▶ on from there
 *                                                   ──404────────▶ HEAD, POST, from 0
 */
import { TsstackError } from '../errors.ts'
import { BlobReader } from './blob-reader.ts'
import { discard, nextLocation, type HttpResponse } from './http-exchange.ts'
import { pathAt, pullScope, pushScope, type Caller } from './registry-caller.ts'
import type { BlobUpload, FoundBlob, UploadOutcome, WantedBlob } from './registry.ts'
import { TransientError, withRetries } from './transient-error.ts'

const OCTETS = 'application/octet-stream'
/** Registries have to look at all of a blob before they answer. */
const SILENCE_MS = 300_000
/** What registries without chunks answer to one. */
const NO_CHUNKS = [400, 405, 415, 501]
const RANGE_NOT_SATISFIABLE = 416
/** No such upload. */
const FORGOTTEN = 404

interface Upload {
  readonly url: URL
  /** Bytes that the registry has. */
  readonly offset: number
  readonly chunkBytes: number
}

interface Target<Blob extends WantedBlob = BlobUpload> {
  readonly caller: Caller
  readonly repository: string
  readonly blob: Blob
}

function again(target: Target, state: string): TransientError {
  return new TransientError(`Cannot ${what(target)}: the registry ${state}`)
}

function what({ blob }: Target): string {
  return `upload blob "${blob.digest}"`
}

async function isThere({ caller, repository, blob }: Target<WantedBlob>): Promise<boolean> {
  const response = await caller.call({
    method: 'HEAD',
    url: await pathAt(caller, `${repository}/blobs/${blob.digest}`),
    scopes: pushScope(repository),
    what: `look up blob "${blob.digest}"`,
    accepted: [404],
  })
  discard(response)
  return response.status !== 404
}

function uploadOf({ caller }: Target<WantedBlob>, response: HttpResponse): Upload {
  const least = Number(response.headers['oci-chunk-min-length'] ?? 0)
  const chunkBytes = Math.max(caller.chunkBytes, Number.isSafeInteger(least) ? least : 0)
  return { url: nextLocation(response), offset: 0, chunkBytes }
}

async function post(target: Target<WantedBlob>, from?: string): Promise<HttpResponse> {
  const { caller, repository, blob } = target
  const query =
    from === undefined ? '' : `?${new URLSearchParams({ mount: blob.digest, from }).toString()}`
  const response = await caller.call({
    method: 'POST',
    url: await pathAt(caller, `${repository}/blobs/uploads/${query}`),
    body: { open: () => [], length: 0 },
    scopes: [...pushScope(repository), ...(from === undefined ? [] : pullScope(from))],
    what: `begin the upload of blob "${blob.digest}"`,
  })
  discard(response)
  return response
}

async function begin(target: Target): Promise<Upload> {
  return uploadOf(target, await post(target))
}

/** Nobody needs it; a registry that does not hear of it forgets it by itself. */
async function cancel({ caller, repository }: Target<WantedBlob>, { url }: Upload): Promise<void> {
  const scopes = pushScope(repository)
  const request = { method: 'DELETE', url, scopes, what: 'cancel an upload' } as const
  await caller.call(request).then(discard, () => undefined)
}

/** @returns the upload that the registry has begun instead, if it has */
async function mount(target: Target<WantedBlob>): Promise<Upload | 'mounted' | undefined> {
  let upload: Upload | undefined
  for (const from of target.blob.mountFrom ?? []) {
    if (upload !== undefined) await cancel(target, upload)
    try {
      const response = await post(target, from)
      if (response.status === 201) return 'mounted'
      upload = uploadOf(target, response)
    } catch (error) {
      upload = undefined
      // Rights for the other repository may be missing, or itself.
      const isRefusal =
        error instanceof TsstackError && ['PERMISSION_DENIED', 'NOT_FOUND'].includes(error.code)
      if (!isRefusal) throw error
    }
  }
  return upload
}

/**
 * Looks for a blob in a repository, and brings it there from another one.
 * @throws as all of `Registry`
 */
export async function findBlob(
  caller: Caller,
  repository: string,
  blob: WantedBlob,
): Promise<FoundBlob | undefined> {
  const target = { caller, repository, blob }
  return withRetries(async () => {
    if (await isThere(target)) return 'present'
    const mounted = await mount(target)
    if (mounted === 'mounted') return mounted
    if (mounted !== undefined) await cancel(target, mounted)
    return undefined
  }, caller.retries)
}

/** `0-99` and `bytes=0-99`: 100 bytes. Registries say `0-0` of nothing at all, too. */
function bytesIn(range: string | string[] | undefined): number | undefined {
  const last = /^(?:bytes=)?0-(\d{1,15})$/.exec(range?.toString() ?? '')?.[1]
  return last === undefined ? undefined : last === '0' ? 0 : Number(last) + 1
}

function continued(upload: Upload, response: HttpResponse, offset: number): Upload {
  const url = response.headers.location === undefined ? upload.url : nextLocation(response)
  return { ...upload, url, offset }
}

/** @returns undefined: the registry has forgotten it */
async function askHowFar(target: Target, upload: Upload): Promise<Upload | undefined> {
  const { caller, repository, blob } = target
  const response = await caller.call({
    method: 'GET',
    url: upload.url,
    scopes: pushScope(repository),
    what: what(target),
    accepted: [400, 404, 405],
  })
  discard(response)
  const offset = bytesIn(response.headers.range)
  const isKnown = response.status < 300 && offset !== undefined && offset <= blob.size
  return isKnown ? continued(upload, response, offset) : undefined
}

async function finish(target: Target, upload: Upload, reader?: BlobReader): Promise<void> {
  const { caller, repository, blob } = target
  const url = new URL(upload.url)
  url.searchParams.set('digest', blob.digest)
  const open = (): AsyncIterable<Buffer> | [] => reader?.piece(0, blob.size) ?? []
  const response = await caller.call({
    method: 'PUT',
    url,
    accepted: [FORGOTTEN],
    headers: { 'content-type': OCTETS },
    body: { open, length: reader === undefined ? 0 : blob.size },
    silenceMs: SILENCE_MS,
    scopes: pushScope(repository),
    what: what(target),
  })
  discard(response)
  if (response.status === FORGOTTEN) throw again(target, 'has forgotten what was sent')
}

/** @returns undefined: the registry takes no chunks */
async function sendChunk(
  target: Target,
  upload: Upload,
  reader: BlobReader,
): Promise<Upload | undefined> {
  const { caller, repository, blob } = target
  const { url, offset, chunkBytes } = upload
  const length = Math.min(chunkBytes, blob.size - offset)
  const response = await caller.call({
    method: 'PATCH',
    url,
    headers: { 'content-type': OCTETS, 'content-range': `${offset}-${offset + length - 1}` },
    body: { open: () => reader.piece(offset, length), length },
    silenceMs: SILENCE_MS,
    scopes: pushScope(repository),
    what: what(target),
    accepted: [RANGE_NOT_SATISFIABLE, FORGOTTEN, ...(offset === 0 ? NO_CHUNKS : [])],
  })
  discard(response)
  if (NO_CHUNKS.includes(response.status)) return undefined
  if (response.status === FORGOTTEN) throw again(target, 'has forgotten what was sent')
  const has = Math.min(bytesIn(response.headers.range) ?? offset + length, offset + length)
  if (response.status === RANGE_NOT_SATISFIABLE || has <= offset)
    throw again(target, `does not go on at byte ${offset}`)
  return continued(upload, response, has)
}

/**
 * Sends a blob, unless it is there or another repository has it. What is cut off goes on where it was, as far as the
 * registry has kept it.
 * @throws as all of `Registry`; {FAILED_PRECONDITION} the blob is not what it is said to be
 */
export async function uploadBlob(
  caller: Caller,
  repository: string,
  blob: BlobUpload,
): Promise<UploadOutcome> {
  const target = { caller, repository, blob }
  const reader = new BlobReader(blob)
  let upload: Upload | undefined
  let isWhole = blob.size <= caller.chunkBytes
  let hasSent = false
  let farthest = 0

  async function attempt(advanced: () => void): Promise<UploadOutcome> {
    if (upload !== undefined) upload = isWhole ? undefined : await askHowFar(target, upload)
    if (upload === undefined) {
      // The last answer may have been lost, not what it answered.
      if (await isThere(target)) return hasSent ? 'sent' : 'present'
      const mounted = await mount(target)
      if (mounted === 'mounted') return mounted
      upload = mounted ?? (await begin(target))
    }
    hasSent = true
    while (!isWhole && upload.offset < blob.size) {
      const next = await sendChunk(target, upload, reader)
      isWhole = next === undefined
      upload = next ?? (await begin(target))
      if (upload.offset > farthest) advanced()
      farthest = Math.max(farthest, upload.offset)
    }
    await finish(target, upload, isWhole ? reader : undefined)
    return 'sent'
  }

  try {
    return await withRetries(attempt, caller.retries)
  } finally {
    await reader.close()
  }
}
