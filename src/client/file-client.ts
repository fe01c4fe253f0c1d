/** The files of containers, as functions: one for each route of src/api/file-types.ts. */
import type { Readable } from 'node:stream'
import type { FileChange } from '../api/file-types.ts'
import type { Transport } from './transport.ts'

export interface FileClient {
  changes(id: string): Promise<readonly FileChange[]>
  /** A tar archive of the whole root. */
  exportContainer(id: string): Promise<Readable>
}

interface Calls {
  readonly get: (path: string) => Promise<unknown>
  readonly transport: Transport
}

function containerPath(id: string, action: string): string {
  return `/v1/containers/${encodeURIComponent(id)}/${action}`
}

export function fileCalls({ get, transport }: Calls): FileClient {
  return {
    changes: async (id) => (await get(containerPath(id, 'changes'))) as readonly FileChange[],
    exportContainer: (id) => transport.bytes({ method: 'GET', path: containerPath(id, 'export') }),
  }
}
