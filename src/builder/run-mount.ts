/** A `--mount` of one RUN, read and not open yet. */
import type { StepMount } from './build-input.ts'
import type { MountOptions } from './dockerfile/instruction.ts'

/** Of who is given a mount, as long as it is open; undefined: the step goes without. */
export type StepMountWork<T> = (mount: StepMount | undefined) => Promise<T>

export interface RunMount {
  /** As far as they decide what the step makes. */
  readonly options: MountOptions
  /** What of its content decides it, too. */
  readonly identity: () => Promise<string>
  /** Held by one step at a time. */
  readonly lock?: string
  /** Variables that the step has of it; no part of what decides. */
  readonly environment?: Readonly<Record<string, string>>
  /** Opens the source as long as `work` takes. */
  readonly open: <T>(work: StepMountWork<T>) => Promise<T>
}
