/**
 * Digests of files, remembered by what changes when a file does: a build that finds everything as it was reads nothing.
 * In memory alone; bounded.
 */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { TsstackError } from '../errors.ts'

const MAX_REMEMBERED = 200_000
const CHUNK_BYTES = 256 << 10
const SMALL_BYTES = 64 << 10
/** Younger than this, a file may change again within the same tick of its clock. */
const RACY_MS = 50n

const remembered = new Map<string, string>()

/** Says whether a file is still the same; its inode number may be used again, its change time may not. */
export function fileVersion({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(':')
}

async function digestOf(file: string, size: number): Promise<string> {
  const hash = createHash('sha256')
  if (size <= SMALL_BYTES) return hash.update(fs.readFileSync(file)).digest('hex')
  const handle = await fs.promises.open(file, 'r')
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    for (;;) {
      const { bytesRead } = await handle.read(chunk, 0, chunk.length)
      if (bytesRead === 0) return hash.digest('hex')
      hash.update(chunk.subarray(0, bytesRead))
    }
  } finally {
    await handle.close()
  }
}

/**
 * sha256 of a regular file in hexadecimal.
 * @param at - names the file that `stats` are of
 * @throws {UNAVAILABLE} it changed while it was read
 */
export async function digestOfFile(at: string, stats: BigIntStats): Promise<string> {
  const version = fileVersion(stats)
  const known = remembered.get(version)
  if (known !== undefined) return known
  const digest = await digestOf(at, Number(stats.size))
  if (fileVersion(fs.statSync(at, { bigint: true })) !== version)
    throw new TsstackError('UNAVAILABLE', 'a file changed while it was read')
  const isSettled = BigInt(Date.now()) - stats.ctimeNs / 1_000_000n > RACY_MS
  if (isSettled) {
    if (remembered.size >= MAX_REMEMBERED) remembered.clear()
    remembered.set(version, digest)
  }
  return digest
}
