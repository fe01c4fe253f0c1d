/** What a service and its surroundings give for one container, before it becomes a ContainerConfig. */
import type { ContainerMount } from '../engine/container-config.ts'
import type { Image } from '../engine/images/image.ts'
import type { Service, Stack } from '../spec/stack.ts'

export interface ContainerIdentity {
  readonly serviceName: string
  readonly number: number
  readonly name: string
  readonly id: string
  readonly oneoff: boolean
  /** Whether the service's name and its aliases lead to it. */
  readonly answersAsService: boolean
}

export interface ConversionInput {
  readonly stack: Stack
  readonly service: Service
  readonly identity: ContainerIdentity
  readonly image: Image
  /** By reference: those that are mounted. */
  readonly mountedImages: Readonly<Record<string, Image>>
  readonly contentDigests: {
    readonly configs: Readonly<Record<string, string>>
    readonly secrets: Readonly<Record<string, string>>
  }
  readonly files: readonly string[]
  readonly workingDir: string
  readonly configHash: string
  /** Names of volumes for mount points without a source, by target. */
  readonly anonymousVolumes: Readonly<Record<string, string>>
  /** The mounts of the container that a `volumes_from` names. */
  readonly mountsOf: (reference: string) => readonly ContainerMount[]
  /** The name of the host, or of the container that a `container:x` names. */
  readonly hostnameOf: (mode: 'host' | { readonly container: string }) => string
  /** Ids of the containers that `service:x` and `container:x` stand for. */
  readonly containerOf: (reference: string) => string
}
