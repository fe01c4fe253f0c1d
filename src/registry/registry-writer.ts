/** What can be changed in a registry ("Push" of OCI Distribution). */
import { TsstackError } from '../errors.ts'
import { findBlob, uploadBlob } from './blob-upload.ts'
import { discard } from './http-exchange.ts'
import { pathAt, pushScope, type Caller } from './registry-caller.ts'
import { sha256 } from './registry-reader.ts'
import type { Registry, RemoteManifest } from './registry.ts'
import { withRetries } from './transient-error.ts'

/** Registries look at all that a manifest names. */
const SILENCE_MS = 300_000

async function putManifest(
  caller: Caller,
  { repository, reference }: { readonly repository: string; readonly reference: string },
  { bytes, mediaType }: Omit<RemoteManifest, 'digest'>,
): Promise<void> {
  const what = `put manifest "${repository}:${reference}"`
  const response = await caller.call({
    method: 'PUT',
    url: await pathAt(caller, `${repository}/manifests/${reference}`),
    headers: { 'content-type': mediaType },
    body: { open: () => [bytes], length: bytes.length },
    silenceMs: SILENCE_MS,
    scopes: pushScope(repository),
    what,
  })
  discard(response)
  const stored = response.headers['docker-content-digest']
  if (stored === undefined || stored === sha256(bytes)) return
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot ${what}: the registry has stored another one, "${stored.toString().slice(0, 100)}"`,
  )
}

export function createWriter(caller: Caller): Pick<Registry, 'find' | 'upload' | 'putManifest'> {
  return {
    find: (repository, blob) => findBlob(caller, repository, blob),
    upload: (repository, blob) => uploadBlob(caller, repository, blob),
    putManifest: (repository, reference, manifest) =>
      withRetries(() => putManifest(caller, { repository, reference }, manifest), caller.retries),
  }
}
