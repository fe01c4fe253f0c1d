import { lstat, readdir } from 'node:fs/promises'
import path from 'node:path'

const BLOCK_BYTES = 512
/** Many at a time would only wait for each other in the pool of four threads. */
const BATCH = 64

/** Bytes that a tree takes on its disk; files with several names count once, what vanishes meanwhile not at all. */
export async function directorySize(root: string): Promise<number> {
  const seen = new Set<bigint>()
  const pending = [root]
  let bytes = 0
  for (;;) {
    const directory = pending.pop()
    if (directory === undefined) return bytes
    const entries = await readdir(directory, { withFileTypes: true }).catch(() => [])
    const below = entries.filter((entry) => entry.isDirectory())
    for (const { name } of below) pending.push(path.join(directory, name))
    for (let at = 0; at < entries.length; at += BATCH)
      bytes += await sizeOf(directory, entries.slice(at, at + BATCH), seen)
  }
}

async function sizeOf(
  directory: string,
  entries: readonly { readonly name: string }[],
  seen: Set<bigint>,
): Promise<number> {
  const stats = await Promise.all(
    entries.map(({ name }) =>
      lstat(path.join(directory, name), { bigint: true }).catch(() => undefined),
    ),
  )
  let bytes = 0
  for (const entry of stats) {
    if (entry === undefined || (entry.nlink > 1n && seen.has(entry.ino))) continue
    if (entry.nlink > 1n && !entry.isDirectory()) seen.add(entry.ino)
    bytes += Number(entry.blocks) * BLOCK_BYTES
  }
  return bytes
}
