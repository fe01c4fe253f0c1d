/** The files of containers, as functions: one for each route of src/api/file-types.ts. */
import type { Readable } from 'node:stream'
import type { CommitRequest, FileChange, FileQuery, FileState } from '../api/file-types.ts'
import type { Transport } from './transport.ts'

export interface FileClient {
  changes(id: string): Promise<readonly FileChange[]>
  commit(id: string, request: CommitRequest): Promise<{ readonly id: string }>
  /** A tar archive of the whole root. */
  exportContainer(id: string): Promise<Readable>
  fileState(id: string, path: string): Promise<FileState>
  /** A tar archive. */
  copyFrom(id: string, query: FileQuery): Promise<Readable>
  copyInto(
    id: string,
    target: { readonly path: string; readonly keepIds: boolean },
    archive: Readable,
  ): Promise<void>
}

interface Calls {
  readonly get: (path: string) => Promise<unknown>
  readonly transport: Transport
}

function containerPath(id: string, action: string): string {
  return `/v1/containers/${encodeURIComponent(id)}/${action}`
}

export function fileCalls({ get, transport }: Calls): FileClient {
  const files = (id: string, query: Readonly<Record<string, string>>): string =>
    `${containerPath(id, 'files')}?${new URLSearchParams(query).toString()}`
  return {
    changes: async (id) => (await get(containerPath(id, 'changes'))) as readonly FileChange[],
    commit: async (id, body) =>
      (await transport.json({ method: 'POST', path: containerPath(id, 'commit'), body })) as {
        readonly id: string
      },
    exportContainer: (id) => transport.bytes({ method: 'GET', path: containerPath(id, 'export') }),
    fileState: async (id, path) =>
      (await get(
        `${containerPath(id, 'files/state')}?${new URLSearchParams({ path }).toString()}`,
      )) as FileState,
    copyFrom: (id, { path, follow, name }) =>
      transport.bytes({ method: 'GET', path: files(id, { path, name, follow: String(follow) }) }),
    copyInto: async (id, { path, keepIds }, source) => {
      const query = { path, keepIds: String(keepIds) }
      await transport.json({ method: 'POST', path: files(id, query), source })
    },
  }
}
