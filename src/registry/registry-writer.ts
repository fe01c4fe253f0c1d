/** What can be changed in a registry ("Push" of OCI Distribution). */
import { nextLocation, type HttpResponse } from './http-exchange.ts'
import { pullScope, type Caller } from './registry-caller.ts'
import type { BlobUpload, Registry } from './registry.ts'
import { withRetries } from './transient-error.ts'

const OCTETS = 'application/octet-stream'

async function* counted(blob: BlobUpload): AsyncGenerator<Buffer> {
  let sent = 0
  for await (const chunk of blob.open()) {
    yield chunk
    sent += chunk.length
    blob.onProgress?.(sent)
  }
}

function pushScope(repository: string): string[] {
  return [`repository:${repository}:pull,push`]
}

async function pathAt({ base }: Caller, path: string): Promise<URL> {
  return new URL(`v2/${path}`, await base())
}

async function isThere(caller: Caller, repository: string, digest: string): Promise<boolean> {
  const response = await caller.call({
    method: 'HEAD',
    url: await pathAt(caller, `${repository}/blobs/${digest}`),
    scopes: pushScope(repository),
    what: `look up blob "${digest}"`,
    accepted: [404],
  })
  response.body.destroy()
  return response.status !== 404
}

interface Upload {
  readonly repository: string
  readonly blob: BlobUpload
}

/** Opens an upload; a registry that could mount the blob answers 201 and is done ("Mounting a blob"). */
async function begin(
  caller: Caller,
  { repository, blob }: Upload,
  from?: string,
): Promise<HttpResponse> {
  const query =
    from === undefined ? '' : `?${new URLSearchParams({ mount: blob.digest, from }).toString()}`
  const response = await caller.call({
    method: 'POST',
    url: await pathAt(caller, `${repository}/blobs/uploads/${query}`),
    body: { open: () => [], length: 0 },
    scopes: [...pushScope(repository), ...(from === undefined ? [] : pullScope(from))],
    what: `begin the upload of blob "${blob.digest}"`,
  })
  response.body.resume()
  return response
}

/** One request with the whole blob ("POST then PUT"). */
async function send(caller: Caller, { repository, blob }: Upload): Promise<void> {
  const url = nextLocation(await begin(caller, { repository, blob }))
  url.searchParams.set('digest', blob.digest)
  const response = await caller.call({
    method: 'PUT',
    url,
    headers: { 'content-type': OCTETS },
    body: { open: () => counted(blob), length: blob.size },
    scopes: pushScope(repository),
    what: `upload blob "${blob.digest}"`,
  })
  response.body.resume()
}

export function createWriter(caller: Caller): Pick<Registry, 'upload' | 'putManifest'> {
  const { retries } = caller
  return {
    upload: (repository, blob) =>
      withRetries(async () => {
        if (await isThere(caller, repository, blob.digest)) return 'present'
        for (const from of blob.mountFrom ?? []) {
          // Rights for the other repository may be missing: then it is sent.
          const tried = await begin(caller, { repository, blob }, from).catch(() => undefined)
          if (tried?.status === 201) return 'mounted'
        }
        await send(caller, { repository, blob })
        return 'sent'
      }, retries),
    putManifest: (repository, reference, { bytes, mediaType }) =>
      withRetries(async () => {
        const response = await caller.call({
          method: 'PUT',
          url: await pathAt(caller, `${repository}/manifests/${reference}`),
          headers: { 'content-type': mediaType },
          body: { open: () => [bytes], length: bytes.length },
          scopes: pushScope(repository),
          what: `put manifest "${repository}:${reference}"`,
        })
        response.body.resume()
      }, retries),
  }
}
