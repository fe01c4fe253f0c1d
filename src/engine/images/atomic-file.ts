/** Small files that are there entirely or not at all. */
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import path from 'node:path'

/**
 * Writes beside the target and renames over it. A killed process leaves the old or the new content; a power failure
 * may leave damaged content, so this is for what can be made again.
 */
export function writeFileAtomically(file: string, content: string | Uint8Array): void {
  const draft = `${file}.${randomUUID()}.tmp`
  try {
    fs.writeFileSync(draft, content, { mode: 0o600 })
    fs.renameSync(draft, file)
  } catch (error) {
    fs.rmSync(draft, { force: true })
    throw error
  }
}

/** As above, and safe from power failures once it resolves: the disk is waited for on a thread of the pool. */
export async function writeFileDurably(file: string, content: string | Uint8Array): Promise<void> {
  const draft = `${file}.${randomUUID()}.tmp`
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(content)
    await handle.sync()
    await handle.close()
    await rename(draft, file)
  } catch (error) {
    await handle.close().catch(() => undefined)
    await rm(draft, { force: true })
    throw error
  }
}

const DRAFT = /\.[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}\.tmp$/

/** Removes what a killed process was writing in a directory; nobody may write there meanwhile. */
export function sweepDrafts(directory: string): void {
  for (const name of fs.readdirSync(directory))
    if (DRAFT.test(name)) fs.rmSync(path.join(directory, name), { force: true })
}

/** The JSON in a file; undefined if there is none or it is damaged. */
export function readJsonIfThere(file: string): unknown {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
