import type { PublishedPort } from '../api/types.ts'
import type { StateStore } from '../state/state-store.ts'
import type { NetworkView } from './network-view.ts'
import type { ContainerRecord } from './records.ts'

export interface PortPublisher {
  publish(record: ContainerRecord): readonly PublishedPort[]
  unpublish(containerId: string): void
  restore(record: ContainerRecord): void
  syncNetworks(): void
  close(): void
}

export function openPortPublisher(_view: NetworkView, _state: StateStore): PortPublisher {
  return { publish: () => [], unpublish: () => undefined, restore: () => undefined, syncNetworks: () => undefined, close: () => undefined }
}
