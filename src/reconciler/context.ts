/** What the reconciler works with: the drivers, the records, and what is alive. Built once, in daemon/main.ts. */
import type { CgroupDriver, CgroupHandle } from '../engine/cgroup/cgroup.ts'
import type { ContainerIo, OutputListener } from '../engine/container-io.ts'
import type { ImageStore } from '../engine/images/image-store.ts'
import type { Snapshotter } from '../engine/images/snapshotter.ts'
import type { StackUserNamespace } from '../engine/user-namespace.ts'
import type { WatchedProcess } from '../kernel/process-watch.ts'
import type { Collection, StateStore } from '../state/state-store.ts'
import type { VolumeStore } from '../volumes/volume-store.ts'
import type { Estates } from './estates.ts'
import type { EventLog } from './event-log.ts'
import type { HealthMonitor } from './health-monitor.ts'
import type { KeptDescriptors } from './kept-descriptors.ts'
import type { Locks } from './locks.ts'
import type { RevisionStore } from './revisions/revision-store.ts'
import type { InterventionRecord } from './loop/interventions.ts'
import type { Loop } from './loop/loop-state.ts'
import type { ContainerRecord, StackRecord, VolumeRecord } from './records.ts'
import type { StackNetworks } from './stack-networks.ts'
import type { SyncJournal } from './sync-journal.ts'
import type { Telemetry } from './telemetry.ts'
import type { VolumeMounts } from './volume-mounts.ts'

/** A container whose first process runs. */
export interface LiveContainer {
  readonly id: string
  readonly process: WatchedProcess
  readonly io: ContainerIo
  readonly cgroup: CgroupHandle
  readonly health: HealthMonitor | undefined
  /** Settles when its exit has been dealt with: recorded, descriptors closed, cgroup removed. */
  readonly ended: Promise<void>
  /** Kills of its cgroup that the kernel had counted when it was started. */
  readonly oomKillsBefore: number
  /** Whoever stops it gives it no longer than until then (milliseconds of `performance.now`). */
  stopDeadline?: number
  /** While it stops: `stopDeadline` is earlier now. */
  hasten?: () => void
  /** It has just been started, and others serve the port that it has with them. */
  isWarmingUp?: boolean
}

export interface Directories {
  /** `<state dir>/containers/<id>`: fifos and log. */
  readonly containers: string
  /** `<run dir>/layers`, where the kernel wants layers to be attached somewhere. */
  readonly layers?: string
}

export interface Context {
  readonly directories: Directories
  readonly state: StateStore
  readonly containers: Collection<ContainerRecord>
  readonly stacks: Collection<StackRecord>
  readonly volumeRecords: Collection<VolumeRecord>
  readonly revisions: RevisionStore
  readonly estates: Estates
  /** By stack name: what people did by hand. */
  readonly interventions: Collection<InterventionRecord>
  /** Keeps stacks as they are declared. */
  readonly loop: Loop
  readonly images: ImageStore
  readonly snapshotter: Snapshotter
  readonly volumes: VolumeStore
  readonly volumeMounts: VolumeMounts
  readonly cgroups: CgroupDriver
  readonly networks: StackNetworks
  readonly events: EventLog
  readonly telemetry: Telemetry
  readonly kept: KeptDescriptors
  /** By container id: one change of a container at a time. */
  readonly locks: Locks
  readonly live: Map<string, LiveContainer>
  /** Who listens to a container's output, by its id; before and while it runs. */
  readonly outputListeners: Map<string, Set<OutputListener>>
  /** By stack name; made when first needed. */
  readonly userNamespaces: Map<string, StackUserNamespace>
  readonly syncJournal: SyncJournal
  /** Restarts that wait for their back-off. */
  readonly restartTimers: Map<string, NodeJS.Timeout>
  /** By stack name: the source in git that it follows at present. */
  readonly followed: Map<string, string>
}
