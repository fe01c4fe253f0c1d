/** A file system of btrfs in a file, on a loop device that goes with its mount. */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

export interface BtrfsVolume {
  readonly path: string
  readonly close: () => void
}

export function mountBtrfs(): BtrfsVolume {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'tsstack-btrfs-'))
  const [file, target] = [path.join(home, 'image'), path.join(home, 'mnt')]
  fs.mkdirSync(target)
  fs.writeFileSync(file, '')
  fs.truncateSync(file, 300 << 20)
  execFileSync('mkfs.btrfs', ['-q', file])
  execFileSync('mount', ['-o', 'loop', file, target])
  return {
    path: target,
    close() {
      execFileSync('umount', [target])
      fs.rmSync(home, { recursive: true })
    },
  }
}
