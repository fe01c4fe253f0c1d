/** Files that are not simply read: remote ones, of which there must be a copy, and programs, which must be evaluated. */
import { NotFetched } from './fetched.ts'
import type { Place } from './node.ts'
import type { Session } from './session.ts'

/** @throws {NotFetched}; {INVALID_ARGUMENT} SpecError with all errors so far */
export function checkpoint({ lacking, diagnostics }: Session): void {
  const { remotes, modules } = lacking
  if (remotes.size + modules.size > 0) throw new NotFetched([...remotes], [...modules])
  diagnostics.throwIfAny()
}

const REMOTE =
  /^(?:(?:https?|git|ssh|file|oci):\/\/|[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+:|github\.com\/)/

/** Whether a path names a git repository or an OCI artifact rather than a file of this machine. */
export function isRemote(path: string): boolean {
  return REMOTE.test(path)
}

/** The local copy of a remote file; undefined when it is lacking, or can't be had, which is told at `place`. */
export function localCopy(
  reference: string,
  place: Place | undefined,
  session: Session,
): string | undefined {
  const { fetched, lacking, diagnostics } = session
  const copy = fetched?.remotes.get(reference)
  if (copy !== undefined && 'file' in copy) return copy.file
  if (copy !== undefined) {
    diagnostics.error(place, `cannot read ${reference}: ${copy.problem}`, {
      expected: 'a git repository or an OCI artifact that can be read',
      suggestion: copy.suggestion ?? 'correct the reference',
    })
  } else if (fetched === undefined) {
    diagnostics.error(place, `cannot read ${reference}: remote files are not fetched here`)
  } else lacking.remotes.add(reference)
  return undefined
}

const MODULE = /\.[cm]?[jt]s$/

/** Whether a stack file is a program: `stack.ts`. */
export function isModule(file: string, { fetched }: Session): boolean {
  return MODULE.test(file) || fetched?.modules.has(file) === true
}
