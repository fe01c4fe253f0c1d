import type { StackSource } from '../api/types.ts'
import type { Image } from '../engine/images/image.ts'
import type { DesiredState } from '../planner/desired-state.ts'

/** A stack with its images and digests looked up. */
export interface ResolvedStack {
  readonly desired: DesiredState
  readonly source: StackSource
  /** Attributes that are accepted but have no effect here. */
  readonly warnings: readonly string[]
  /** By service. */
  readonly images: Readonly<Record<string, Image>>
  /** By reference: those that are mounted. */
  readonly mountedImages: Readonly<Record<string, Image>>
}
