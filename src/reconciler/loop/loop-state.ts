/** The loop as the rest of the reconciler sees it; loop.ts makes it. */
import type { Drift } from './drift.ts'

/** What the loop knows of a stack. */
export interface LoopState {
  /** What differs and has not been repaired. */
  readonly drift: readonly Drift[]
  readonly failures: number
  readonly lookedAt?: string
  readonly lastError?: string
  readonly retryAt?: string
}

export interface Loop {
  /** Begins to watch and to look. Call once, when what ran before has been adopted. */
  start(): void
  /** Looks at a stack soon; asked again meanwhile, once. */
  request(stack: string): void
  stateOf(stack: string): LoopState
  /** What is called after each look that changed something; call the result to stop. */
  onChange(listener: (stack: string) => void): () => void
  close(): void
}
