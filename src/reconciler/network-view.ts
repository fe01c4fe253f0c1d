import type { Collection } from '../state/state-store.ts'
import type { ContainerRecord, Lease, NetworkDocument } from './records.ts'

/** What names and ports may know of the networks. */
export interface NetworkView {
  readonly containers: Pick<Collection<ContainerRecord>, 'get' | 'values'>
  readonly documents: () => NetworkDocument[]
  readonly leases: () => Lease[]
  readonly leasesOf: (containerId: string) => Lease[]
  /** It is to be given work: see isReady in observe.ts. */
  readonly isReady: (containerId: string) => boolean
}
