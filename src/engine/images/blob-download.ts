/**
 * A blob from a registry into a file, checked while it streams:
 *
 *   file missing ──▶ from 0
 *   file shorter ──▶ digest what is there, ask for the rest (Range), from 0 if the registry gives no parts
 *   connection cut ──▶ again, from where it was
 *   whole, digest right ──▶ done;  wrong ──▶ removed, and once more from 0 if a part of it was old
 */
import { createHash, type Hash } from 'node:crypto'
import fs from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { TsstackError } from '../../errors.ts'
import type { RemoteBlob } from '../../registry/registry.ts'
import { withRetries, type RetryOptions } from '../../registry/transient-error.ts'
import { readChunks } from './byte-source.ts'
import type { ExpectedContent } from './content-store.ts'

export interface BlobDownload extends RetryOptions {
  readonly file: string
  readonly expected: ExpectedContent
  /** Opens the blob; the registry may give it from 0 all the same. */
  readonly openBlob: (from: number) => Promise<RemoteBlob>
  /** @param bytes - that are there */
  readonly onProgress?: (bytes: number) => void
}

interface Draft {
  readonly handle: FileHandle
  hash: Hash
  size: number
}

function wrong({ expected }: BlobDownload, state: string): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', `Cannot store blob "${expected.digest}": ${state}`)
}

async function openDraft({ file, expected }: BlobDownload): Promise<Draft> {
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = fs.constants
  const handle = await open(file, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600)
  const draft = { handle, hash: createHash('sha256'), size: 0 }
  if ((await handle.stat()).size > expected.size) await handle.truncate(0)
  for await (const chunk of readChunks(handle)) {
    draft.hash.update(chunk)
    draft.size += chunk.length
  }
  return draft
}

async function writeAll({ handle, size }: Draft, chunk: Buffer): Promise<void> {
  for (let written = 0; written < chunk.length;) {
    const rest = chunk.subarray(written)
    written += (await handle.write(rest, 0, rest.length, size + written)).bytesWritten
  }
}

async function receive(draft: Draft, download: BlobDownload, onChunk: () => void): Promise<void> {
  const { expected, openBlob, onProgress } = download
  const { start, chunks } = await openBlob(draft.size)
  if (start !== draft.size) {
    await draft.handle.truncate(0)
    draft.hash = createHash('sha256')
    draft.size = 0
  }
  for await (const chunk of chunks) {
    if (download.signal?.aborted === true) throw new TsstackError('CANCELLED', 'Cancelled')
    if (draft.size + chunk.length > expected.size)
      throw wrong(download, `it is larger than the ${expected.size} bytes that its manifest says`)
    await writeAll(draft, chunk)
    draft.hash.update(chunk)
    draft.size += chunk.length
    onChunk()
    onProgress?.(draft.size)
  }
  if (draft.size === expected.size) return
  const state = `it is truncated: ${draft.size} of the ${expected.size} bytes that its manifest says`
  throw wrong(download, state)
}

/** @returns the digest of the whole */
async function complete(download: BlobDownload): Promise<string> {
  const { expected } = download
  const draft = await openDraft(download)
  // A registry that gives no parts begins anew each time; that is no progress.
  let farthest = draft.size
  try {
    await withRetries(async (advanced) => {
      if (draft.size === expected.size) return
      await receive(draft, download, () => {
        if (draft.size > farthest) advanced()
        farthest = Math.max(farthest, draft.size)
      })
    }, download)
    return `sha256:${draft.hash.digest('hex')}`
  } finally {
    await draft.handle.close()
  }
}

/**
 * Resolves when the file is whole and its digest right. What fails by itself stays for the next time; what is wrong is
 * removed.
 * @throws {INVALID_ARGUMENT} digest or size differ; else what `openBlob` throws
 */
export async function downloadBlob(download: BlobDownload): Promise<void> {
  const { file, expected } = download
  for (let isOld = fs.existsSync(file); ; isOld = false) {
    let digest: string
    try {
      digest = await complete(download)
    } catch (error) {
      if (error instanceof TsstackError && error.code === 'INVALID_ARGUMENT') fs.rmSync(file)
      throw error
    }
    if (digest === expected.digest) return
    fs.rmSync(file)
    if (!isOld) throw wrong(download, `its ${expected.size} bytes have digest "${digest}"`)
  }
}
