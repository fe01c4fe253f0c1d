/**
 * What a stack names and no synchronous reader can give: files of remote repositories, and what a module evaluates to.
 * Loading gathers what it lacks of these and throws `NotFetched`; its caller fetches that and loads again. So `spec`
 * stays pure, and all that is needed at one time is fetched at once.
 */
import { TsstackError } from '../errors.ts'

/** Why there is nothing; line and column, from 1, where a module's author made the mistake. */
export interface FetchFailure {
  readonly problem: string
  readonly suggestion?: string
  readonly line?: number
  readonly column?: number
}

/** The stack file of a remote reference in its local copy: an absolute path. */
export type RemoteCopy = { readonly file: string } | FetchFailure
/** The default export of a module. */
export type ModuleValue = { readonly value: unknown } | FetchFailure

export interface Fetched {
  /** By reference, as it is written. */
  readonly remotes: ReadonlyMap<string, RemoteCopy>
  /** By absolute path. */
  readonly modules: ReadonlyMap<string, ModuleValue>
}

/** Loading can't go on before these are there. */
export class NotFetched extends TsstackError {
  readonly remotes: readonly string[]
  readonly modules: readonly string[]

  constructor(remotes: readonly string[], modules: readonly string[]) {
    super(
      'UNAVAILABLE',
      `Cannot load the stack: not fetched: ${[...remotes, ...modules].join(', ')}`,
    )
    this.remotes = remotes
    this.modules = modules
  }
}

/** What one loading has found missing. */
export interface Lacking {
  readonly remotes: Set<string>
  readonly modules: Set<string>
}
