/** Remote stack files: git repositories and OCI artifacts, brought into the user's cache. */
import type { RemoteCopy } from '../spec/fetched.ts'

/** The local copy of a remote stack file, or why there is none. */
export function fetchRemote(reference: string): Promise<RemoteCopy> {
  return Promise.resolve({ problem: `remote files are not supported yet (${reference})` })
}
