/** A small file system of its own, by a loop device: one that can be filled. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'

export interface SmallDisk {
  /** Where it is mounted. */
  readonly directory: string
  /** Nothing is in use of it any more. */
  close(): void
}

export function openSmallDisk(bytes: number): SmallDisk {
  const home = mkdtempSync(path.join(os.tmpdir(), 'tsstack-disk-'))
  const image = path.join(home, 'image')
  const directory = path.join(home, 'mounted')
  mkdirSync(directory)
  try {
    writeFileSync(image, '')
    truncateSync(image, bytes)
    // No blocks kept for root: full is to mean full.
    execFileSync('mkfs.ext4', ['-q', '-m', '0', image])
    execFileSync('mount', ['-o', 'loop', image, directory])
  } catch (error) {
    rmSync(home, { recursive: true, force: true })
    throw error
  }
  return {
    directory,
    close() {
      execFileSync('umount', [directory])
      rmSync(home, { recursive: true, force: true })
    },
  }
}
