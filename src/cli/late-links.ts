/**
 * Symbolic links of an archive, made when everything else of it has been written: so nothing is ever written through one, and
 * each may keep its target, wherever that leads.
 */
import { lchownSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import type { ReadEntry } from 'tar'
import { TsstackError } from '../errors.ts'

interface Link {
  readonly target: string
  readonly uid: number
  readonly gid: number
}

export class LateLinks {
  readonly #links = new Map<string, Link>()

  /** @returns whether the entry was one: a link, or another name of one */
  take({ type, path: name, linkpath = '', uid = 0, gid = 0 }: ReadEntry): boolean {
    const link =
      type === 'SymbolicLink'
        ? { target: linkpath, uid, gid }
        : type === 'Link'
          ? this.#links.get(path.normalize(linkpath))
          : undefined
    if (link === undefined) return false
    this.#links.set(path.normalize(name), link)
    return true
  }

  /** @throws {INVALID_ARGUMENT} one that is not for this directory; and what the system says, as when a directory is there */
  make(directory: string, options: { readonly keepIds: boolean }): void {
    const root = realpathSync(directory)
    for (const [name, { target, uid, gid }] of this.#links) {
      const place = path.join(
        realpathSync(path.join(root, path.dirname(name))),
        path.basename(name),
      )
      // Its directory may be a link that has just been made.
      if (!place.startsWith(path.join(root, '/')))
        throw new TsstackError('INVALID_ARGUMENT', `Cannot copy link "${name}": it leads elsewhere`)
      rmSync(place, { force: true })
      symlinkSync(target, place)
      if (options.keepIds) lchownSync(place, uid, gid)
    }
  }
}
