/** Small files that are there entirely or not at all. */
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'

/** Writes beside the target, syncs, renames over it. Blocks for the time of one small fsync. */
export function writeFileAtomically(file: string, content: string | Uint8Array): void {
  const draft = `${file}.${randomUUID()}.tmp`
  try {
    fs.writeFileSync(draft, content, { mode: 0o600, flush: true })
    fs.renameSync(draft, file)
  } catch (error) {
    fs.rmSync(draft, { force: true })
    throw error
  }
}

/** The JSON in a file; undefined if there is none or it is damaged. */
export function readJsonIfThere(file: string): unknown {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
