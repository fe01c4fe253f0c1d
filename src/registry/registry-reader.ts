/** What can be read of a registry ("Pull" and "Content Discovery" of OCI Distribution). */
import { createHash } from 'node:crypto'
import { TsstackError } from '../errors.ts'
import { chunksOf, discard, readBody, type HttpResponse } from './http-exchange.ts'
import { isTag } from './image-name.ts'
import { pathAt, pullScope, type Caller } from './registry-caller.ts'
import type { Registry, RemoteBlob, RemoteManifest } from './registry.ts'
import { withRetries } from './transient-error.ts'

const MAX_MANIFEST_BYTES = 4 << 20
const DIGEST = /^sha256:[0-9a-f]{64}$/
const MAX_TAGS = 10_000
const MAX_PAGES = 100
const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]

export function sha256(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

function checkedManifest(bytes: Buffer, reference: string, what: string): string {
  const digest = sha256(bytes)
  if (!reference.includes(':') || reference === digest) return digest
  throw new TsstackError('INVALID_ARGUMENT', `Cannot ${what}: the registry gave "${digest}"`)
}

/** `<…>; rel="next"` (RFC 8288), only on the same host. */
function nextPage(response: HttpResponse): URL | undefined {
  const target = /<([^<>]+)>\s*;\s*rel="?next"?/.exec(
    response.headers['link']?.toString() ?? '',
  )?.[1]
  if (target === undefined || !URL.canParse(target, response.url.href)) return undefined
  const url = new URL(target, response.url)
  return url.origin === response.url.origin ? url : undefined
}

async function manifestHead(
  caller: Caller,
  repository: string,
  reference: string,
): Promise<HttpResponse> {
  const response = await caller.call({
    method: 'HEAD',
    url: await pathAt(caller, `${repository}/manifests/${reference}`),
    headers: { accept: MANIFEST_TYPES.join(', ') },
    scopes: pullScope(repository),
    what: `look up "${repository}:${reference}"`,
    accepted: [404],
  })
  discard(response)
  return response
}

async function getManifest(
  caller: Caller,
  repository: string,
  reference: string,
): Promise<RemoteManifest> {
  const what = `get manifest "${repository}${reference.includes(':') ? '@' : ':'}${reference}"`
  const response = await caller.call({
    method: 'GET',
    url: await pathAt(caller, `${repository}/manifests/${reference}`),
    headers: { accept: MANIFEST_TYPES.join(', ') },
    scopes: pullScope(repository),
    what,
  })
  const bytes = await readBody(response, MAX_MANIFEST_BYTES)
  const mediaType = response.headers['content-type'] ?? ''
  return { bytes, mediaType, digest: checkedManifest(bytes, reference, what) }
}

interface BlobPart {
  readonly repository: string
  readonly digest: string
  readonly from: number
}

async function getBlob(
  caller: Caller,
  { repository, digest, from }: BlobPart,
): Promise<RemoteBlob> {
  const response = await caller.call({
    method: 'GET',
    url: await pathAt(caller, `${repository}/blobs/${digest}`),
    headers: from === 0 ? {} : { range: `bytes=${from}-` },
    scopes: pullScope(repository),
    what: `get blob "${digest}"`,
    accepted: from === 0 ? [] : [416],
  })
  if (response.status === 416) {
    response.body.destroy()
    return getBlob(caller, { repository, digest, from: 0 })
  }
  const range = /^bytes (\d+)-/.exec(response.headers['content-range'] ?? '')?.[1]
  const start = response.status === 206 ? Number(range ?? Number.NaN) : 0
  if (start === 0 || start === from) return { start, chunks: chunksOf(response) }
  response.body.destroy()
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot get blob "${digest}" at registry "${response.url.host}": it gave another part than was asked for`,
  )
}

/** OCI Distribution 1.1, "Listing Tags". What is no tag is left out: it would be shown on a terminal. */
function tagsIn(bytes: Buffer, what: string): string[] {
  let document: { readonly tags?: unknown } | null
  try {
    document = JSON.parse(bytes.toString('utf8')) as typeof document
  } catch (cause) {
    const state = 'the registry answered with something that is not JSON'
    throw new TsstackError('INVALID_ARGUMENT', `Cannot ${what}: ${state}`, { cause })
  }
  const tags = document?.tags
  if (!Array.isArray(tags)) return []
  return tags.filter((tag): tag is string => typeof tag === 'string' && isTag(tag))
}

async function listTags(caller: Caller, repository: string): Promise<string[]> {
  const tags: string[] = []
  let url: URL | undefined = await pathAt(caller, `${repository}/tags/list?n=1000`)
  for (let page = 0; url !== undefined && page < MAX_PAGES && tags.length < MAX_TAGS; page++) {
    const request = { method: 'GET', url, scopes: pullScope(repository) } as const
    const what = `list the tags of "${repository}"`
    const response = await withRetries(() => caller.call({ ...request, what }), caller.retries)
    tags.push(...tagsIn(await readBody(response, MAX_MANIFEST_BYTES), what))
    url = nextPage(response)
  }
  return tags.slice(0, MAX_TAGS)
}

type Reader = Pick<Registry, 'logIn' | 'manifest' | 'digestOf' | 'blob' | 'hasManifest' | 'tags'>

export function createReader(caller: Caller): Reader {
  const { retries } = caller
  return {
    logIn: () =>
      withRetries(async () => {
        const url = await pathAt(caller, '')
        discard(await caller.call({ method: 'GET', url, scopes: [], what: 'log in' }))
        return caller.identityToken()
      }, retries),
    manifest: (repository, reference) =>
      withRetries(() => getManifest(caller, repository, reference), retries),
    digestOf: (repository, tag) =>
      withRetries(async () => {
        const { status, headers } = await manifestHead(caller, repository, tag)
        if (status === 404) return undefined
        const digest = headers['docker-content-digest']?.toString() ?? ''
        // Not every registry says it.
        if (!DIGEST.test(digest)) return (await getManifest(caller, repository, tag)).digest
        return digest
      }, retries),
    hasManifest: (repository, digest) =>
      withRetries(
        async () => (await manifestHead(caller, repository, digest)).status !== 404,
        retries,
      ),
    blob: (repository, digest, from = 0) => getBlob(caller, { repository, digest, from }),
    tags: (repository) => listTags(caller, repository),
  }
}
