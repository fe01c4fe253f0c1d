/** What is remembered of each thing that the daemon made. Plain JSON; changed by replacing, never in place. */
import type { StackOrigin } from '../api/revision-types.ts'
import type { PublishedPort } from '../api/types.ts'
import type { ContainerConfig } from '../engine/container-config.ts'
import type { TerminalSize } from '../engine/device-tree.ts'
import type { SubnetRecord } from '../network/ipam.ts'
import type { MacvlanMode } from '../network/rtnetlink/link-messages.ts'
import type { DownOptions } from '../planner/desired-state.ts'
import type { ContainerState, RolloutPart } from '../planner/observed-state.ts'
import type { StackContents } from '../spec/loaded-stack.ts'
import type { Stack } from '../spec/stack.ts'

/** Key: the container's id, 64 hexadecimal digits. */
export interface ContainerRecord {
  readonly id: string
  readonly config: ContainerConfig
  /** See ObservedContainer. */
  readonly fields: Readonly<Record<string, string>>
  readonly replaceHash: string
  readonly updateHash: string
  readonly dependsOn: readonly string[]
  readonly state: ContainerState
  /** Paused by the engine, for as long as a commit reads its files: a daemon that finds it so lets it go on. */
  readonly pausedBriefly?: true
  /** See RolloutPart. */
  readonly part?: RolloutPart
  /**
   * What the user last asked for: a stopped container is not started again by its restart policy. `restarted`: it stops
   * only to be started again, so one that is found stopped was forgotten half-way.
   */
  readonly wanted: 'running' | 'stopped' | 'restarted'
  /** RFC 3339. */
  readonly createdAt: string
  readonly startedAt?: string
  readonly finishedAt?: string
  /** Of its first process, while it runs; with the start time (clock ticks since boot) it is unmistakable. */
  readonly pid?: number
  readonly pidStartTime?: number
  readonly exitCode?: number
  readonly oomKilled: boolean
  /** Why it could not be started. */
  readonly error?: string
  /** Restarts by policy since it was last started by request. */
  readonly restartCount: number
  /** Volumes have been seeded from the image. */
  readonly seeded: boolean
  readonly publishedPorts: readonly PublishedPort[]
  /** Volumes without a name of their own, by target; inherited by the container's replacement. */
  readonly anonymousVolumes: Readonly<Record<string, string>>
  readonly removeOnExit: boolean
  /** Of its terminal, when it starts. */
  readonly terminalSize?: TerminalSize
  /** Its pre_start hooks have been run. */
  readonly prepared?: boolean
}

/** Key: the network's name. */
export interface NetworkDocument {
  readonly name: string
  /** Key in the stack; absent without one. */
  readonly key?: string
  /** Absent: made by `network create`. */
  readonly stack?: string
  readonly configHash: string
  /** What is hashed. Absent: written by an older version. */
  readonly fields?: Readonly<Record<string, string>>
  readonly bridge: string
  /** Containers are on an interface of the host's, and there is no bridge. */
  readonly macvlan?: { readonly parent: string; readonly mode: MacvlanMode }
  readonly subnets: readonly SubnetRecord[]
  readonly internal: boolean
  readonly mtu?: number
  /** Its containers do not reach each other. */
  readonly isolated?: true
  /** Packets leave the host with the address of their container. */
  readonly masquerade?: false
  /** IPv4 address of the host for published ports that name none. */
  readonly hostBinding?: string
  readonly labels: Readonly<Record<string, string>>
  /** RFC 3339. */
  readonly createdAt?: string
}

/** An address that a container has on a network. Key: `<network>/<container id>`. */
export interface Lease {
  readonly network: string
  readonly container: string
  readonly ipv4?: string
  readonly ipv6?: string
  readonly mac: string
}

/** Key: the volume's name. */
export interface VolumeRecord {
  readonly name: string
  /** Absent: made without a stack, or anonymous. */
  readonly stack?: string
  readonly key?: string
  readonly configHash: string
  readonly labels: Readonly<Record<string, string>>
  /** Of the driver; absent: a directory of the engine's. */
  readonly options?: Readonly<Record<string, string>>
  readonly createdAt: string
}

/** Key: the stack's name. */
export interface StackRecord {
  readonly name: string
  /** First host id of its user namespace's range. */
  readonly idRangeStart: number
  /** As last brought up. */
  readonly stack: Stack
  readonly files: readonly string[]
  readonly workingDir: string
  readonly contents: StackContents
  /** The whole stack was stopped by request: its schedules rest until it is started or brought up. */
  readonly stopped?: true
  /** It is being taken down: the `down` that was asked for, until it is done. */
  readonly down?: {
    readonly stack: Stack
    readonly options: DownOptions
    /** A hook has failed: whoever asked for it looks first, and asks again. */
    readonly isHeld?: true
  }
  readonly origin?: StackOrigin
  /** The services that have been brought up and not taken down: those whose containers are kept. */
  readonly scope?: readonly string[]
}

/** As far as is recorded. */
export function hasProcess({ state }: ContainerRecord): boolean {
  return state === 'running' || state === 'paused'
}
