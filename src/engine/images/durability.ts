/**
 * Power failures. What the store makes appears by a rename, which a killed daemon can't leave half-done; but after a
 * power failure the name may be there and the data not. Waiting for the disk on each import would cost seconds, so:
 *
 *   <root>/unsynced/<boot id>.<kind>.<name>    an object whose data may still be in memory only
 *
 * The mark is made before the object, and goes when a syncfs(2) in the background has ended. Marks of another boot,
 * found when the store opens, name objects that can't be trusted.
 */
import fs from 'node:fs'
import path from 'node:path'
import { log } from '../../log.ts'
import { syncFileSystem } from '../../kernel/file-calls.ts'

export type ObjectKind = 'layers' | 'blobs'

export interface Durability {
  /** Before the object appears. */
  readonly expect: (kind: ObjectKind, name: string) => void
  /** After it has: starts writing back in the background, together with whatever else is waiting. */
  readonly settle: () => void
  /** Resolves when everything that was settled is on the disk. */
  readonly flushed: () => Promise<void>
}

function bootId(): string {
  return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}

export interface DurabilityOptions {
  /** Default: this boot's (/proc/sys/kernel/random/boot_id). */
  readonly boot?: string
  /** Called, before anything else, for each object that a power failure may have damaged. */
  readonly discard: (kind: ObjectKind, name: string) => void
}

/** Opens the marks of a store, and discards what an earlier boot has left unsure. */
export function openDurability(root: string, options: DurabilityOptions): Durability {
  const directory = path.join(root, 'unsynced')
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
  const boot = options.boot ?? bootId()
  let waiting = new Set<string>()
  let running: Promise<void> | undefined

  for (const mark of fs.readdirSync(directory)) {
    const [markBoot, kind, name = ''] = mark.split('.')
    if (markBoot === boot) {
      waiting.add(mark)
      continue
    }
    if (kind === 'layers' || kind === 'blobs') options.discard(kind, name)
    fs.rmSync(path.join(directory, mark), { force: true })
  }

  async function writeBack(): Promise<void> {
    do {
      const marks = waiting
      waiting = new Set()
      const handle = await fs.promises.open(directory, 'r')
      try {
        await syncFileSystem(handle.fd)
      } finally {
        await handle.close()
      }
      for (const mark of marks) fs.rmSync(path.join(directory, mark), { force: true })
    } while (waiting.size > 0)
    running = undefined // in the same turn as the last look at what waits
  }

  return {
    expect(kind, name) {
      const mark = `${boot}.${kind}.${name}`
      fs.writeFileSync(path.join(directory, mark), '')
      waiting.add(mark)
    },
    settle() {
      running ??= writeBack().catch((error: unknown) => {
        // The marks stay: the objects are trusted for this boot only.
        log.warn('images not written back', { error })
        running = undefined
      })
    },
    async flushed() {
      while (running !== undefined) await running
    },
  }
}
