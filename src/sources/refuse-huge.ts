/** What a commit may be written out to. Pure. */
import { TsstackError } from '../errors.ts'

/** Of all files of a commit together; a small pack can hold much more. */
const MAX_BYTES = 4 * 2 ** 30
const MAX_FILES = 200_000
/** A few trees that hold each other stand for any number of them, and the names of files do not say how many. */
const MAX_DIRECTORIES = 200_000

/**
 * @param listed - the size of each file, a line each; `-` for directories, and for submodules, which are not fetched
 * @throws {PERMISSION_DENIED}
 */
export function refuseHuge(listed: string): void {
  const lines = listed.split('\n')
  const sizes = lines.flatMap((line) => (/^\d+$/.test(line) ? [Number(line)] : []))
  const directories = lines.filter((line) => line === '-').length
  const bytes = sizes.reduce((sum, size) => sum + size, 0)
  if (sizes.length <= MAX_FILES && bytes <= MAX_BYTES && directories <= MAX_DIRECTORIES) return
  const mebibytes = String(Math.ceil(bytes / 2 ** 20))
  const what = `${String(sizes.length)} files of ${mebibytes} MiB together in ${String(directories)} directories`
  throw new TsstackError('PERMISSION_DENIED', `it has ${what}, which is too much`, {
    hint: `at most ${String(MAX_FILES)} files, as many directories, and ${String(MAX_BYTES / 2 ** 20)} MiB`,
  })
}
