/** What a consistency check gives. */
import type { Path } from './node.ts'

/** What is wrong at a path of the model. */
export interface Finding {
  readonly path: Path
  readonly message: string
  readonly expected?: string | undefined
  readonly suggestion?: string | undefined
}
