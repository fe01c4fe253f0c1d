/** What git has only the name of, and a container would get nothing of: files of Git LFS and submodules. Pure. */
import { TsstackError } from '../errors.ts'

/** https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md: the first line, and no pointer is longer than that. */
const POINTER = Buffer.from('version https://git-lfs.github.com/spec/v1\n')
const MAX_POINTER_BYTES = 1024

/** @param start - of a file @param size - all of its bytes @throws {FAILED_PRECONDITION} it is a pointer of Git LFS */
export function refusePointer(start: Uint8Array, size: number, path: string): void {
  if (size > MAX_POINTER_BYTES || !POINTER.equals(start.subarray(0, POINTER.length))) return
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot take "${path}": Git LFS has its content, which is not fetched`,
    { hint: 'Commit the file itself, or put it into an image' },
  )
}

/** @param names - of what is in a directory: git itself knows no empty ones @throws {FAILED_PRECONDITION} */
export function refuseSubmodule(names: readonly string[], path: string): void {
  if (names.length > 0) return
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot take "${path}": it is a submodule, which is not fetched`,
    { hint: 'Commit the files themselves, or follow that repository by a source of its own' },
  )
}
