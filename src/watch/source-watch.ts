/** Follows the files that a stack is made of, and that it would be made of if they were there. */
import { statSync } from 'node:fs'
import path from 'node:path'
import { createBatcher } from './batcher.ts'
import { openFileWatcher, type FileWatcher } from './file-watcher.ts'

/** A person writes: what is half written would only be an error. */
const QUIET_MS = 50
const CAP_MS = 300

export interface SourceWatch {
  /** Follows these from now on. Resolves when every change is followed. */
  follow(files: readonly string[]): Promise<void>
  /** Safe to call twice. */
  close(): Promise<void>
}

/** @param onChange - called when a burst of changes is over, never again before it has resolved */
export function createSourceWatch(
  onChange: () => Promise<void>,
  onError: (error: Error) => void,
): SourceWatch {
  let watcher: FileWatcher | undefined
  let followed: ReadonlySet<string> = new Set()
  const batcher = createBatcher({
    quietMs: QUIET_MS,
    capMs: CAP_MS,
    flush: () => Promise.resolve(),
    settle: onChange,
  })
  return {
    async follow(files) {
      const wanted = new Set(files)
      if (wanted.size === followed.size && files.every((file) => followed.has(file))) return
      const before = watcher
      watcher = await openFileWatcher({
        paths: files,
        enters: () => true,
        onChange: (file) => {
          if (wanted.has(file)) batcher.push(file)
        },
        onError,
      })
      followed = wanted
      await before?.close()
    },
    async close() {
      await watcher?.close()
      await batcher.close()
    },
  }
}

/** Of what a loader looked for: files, and those missing ones that would count beside the stack file. */
export function filesToFollow(looked: Iterable<string>, workingDir: string): string[] {
  return [...new Set(looked)].filter((file) => {
    const stats = statSync(file, { throwIfNoEntry: false })
    return stats === undefined ? path.dirname(file) === workingDir : stats.isFile()
  })
}
