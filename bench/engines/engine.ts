import type { Probes } from '../compile-probes.ts'
import type { BenchImage } from '../image.ts'
import type { ImageEngine } from './image-engine.ts'

/** A container of a stack file: the first replica of a service. */
export interface ServicePlace {
  readonly project: string
  readonly file: string
  readonly service: string
}

export type StackPlace = Omit<ServicePlace, 'service'>

/**
 * One engine that is measured: its command line for a stack, and what of its API the rows need. Every function gives the
 * words of a command that the caller runs in the sandbox, or does its work at once.
 */
export interface Engine extends ImageEngine {
  /** For its stack files. */
  readonly work: string
  /** The words that run iperf3 in the sandbox. */
  readonly iperf: readonly string[]
  /** How its stack files name the image. */
  readonly image: string
  /** Health checks run without any help of the machine (Podman's are systemd timers). */
  readonly hasHealthChecks: boolean
  config(place: StackPlace): readonly string[]
  up(place: StackPlace): readonly string[]
  down(place: StackPlace): readonly string[]
  /** All output of a service, bare lines. */
  logs(place: ServicePlace): readonly string[]
  exec(place: ServicePlace, command: readonly string[]): readonly string[]
  /** Resolves when the container has exited. */
  waitForExit(place: ServicePlace): Promise<void>
  /** exec through the API, without a command line; undefined where there is no daemon. */
  readonly execByApi?: (place: ServicePlace, command: readonly string[]) => Promise<void>
  /** SIGKILL through the API; resolves when the container has exited. */
  readonly kill?: (place: ServicePlace) => Promise<void>
  /** Starts a container that has exited, through the API. */
  readonly start?: (place: ServicePlace) => Promise<void>
}

/** What every engine is made of. */
export interface EngineSetup {
  readonly probes: Probes
  readonly image: BenchImage
  /** Holds everything of this run, and is at the same path in every sandbox. */
  readonly top: string
  /** A new directory of its own, below `top`. */
  readonly work: string
}
