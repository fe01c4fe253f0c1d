/** What a commit may be written out to. Pure. */
import { TsstackError } from '../errors.ts'

/** Of all files of a commit together; a small pack can hold much more. */
const MAX_BYTES = 4 * 2 ** 30
const MAX_FILES = 200_000

/**
 * @param listed - the size of each file, a line each; `-` for submodules, which are not fetched
 * @throws {PERMISSION_DENIED}
 */
export function refuseHuge(listed: string): void {
  const sizes = listed.split('\n').flatMap((line) => (/^\d+$/.test(line) ? [Number(line)] : []))
  const bytes = sizes.reduce((sum, size) => sum + size, 0)
  if (sizes.length <= MAX_FILES && bytes <= MAX_BYTES) return
  const what = `${String(sizes.length)} files of ${String(Math.ceil(bytes / 2 ** 20))} MiB together`
  throw new TsstackError('PERMISSION_DENIED', `it has ${what}, which is too much`, {
    hint: `at most ${String(MAX_FILES)} files and ${String(MAX_BYTES / 2 ** 20)} MiB`,
  })
}
