import type { NetworkDocument } from './records.ts'
import type { NetworkView } from './network-view.ts'

export interface NameService {
  listen(document: NetworkDocument): void
  unlisten(document: NetworkDocument): void
  close(): void
}

export function openNameService(_view: NetworkView): NameService {
  return { listen: () => undefined, unlisten: () => undefined, close: () => undefined }
}
