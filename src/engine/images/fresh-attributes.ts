/**
 * What a file that this process makes in a tree has from the start, so that it need not be set: for most files of most
 * layers that saves two of five system calls.
 */
import fs from 'node:fs'
import { getXattr } from '../../kernel/file-calls.ts'

interface Owned {
  readonly uid: number
  readonly gid: number
  readonly mode: number
}

const [SETGID, BEYOND_PERMISSIONS] = [0o2000, 0o7000]

/** Asking with umask(2) would change it for all threads, for a moment. */
function umask(): number {
  const octal = /^Umask:\s+([0-7]+)$/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))?.[1]
  return octal === undefined ? 0o777 : Number.parseInt(octal, 8)
}

export class FreshAttributes {
  readonly #uid = process.geteuid?.()
  readonly #gid = process.getegid?.()
  readonly #umask = umask()
  /** Nothing comes from the directory that a file is made in. */
  #isPlain: boolean

  /** @param root - the tree's, still empty */
  constructor(root: string) {
    this.#isPlain = getXattr(root, 'system.posix_acl_default') === undefined
    this.sawDirectory(fs.statSync(root))
  }

  /** What is made in a directory may get its group: if it is setgid, or the file system mounted with `grpid` (ext4(5)). */
  sawDirectory({ gid, mode }: Owned): void {
    if (gid !== this.#gid || (mode & SETGID) !== 0) this.#isPlain = false
  }

  hasOwner({ uid, gid }: Owned): boolean {
    return this.#isPlain && uid === this.#uid && gid === this.#gid
  }

  /** If it was made with that mode. */
  hasMode({ mode }: Owned): boolean {
    return this.#isPlain && (mode & (BEYOND_PERMISSIONS | this.#umask)) === 0
  }
}
