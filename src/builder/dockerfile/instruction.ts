/** What the instructions of a Dockerfile are, once read: variables are not expanded yet. */
import type { Heredoc } from './parse-dockerfile.ts'
import type { Place } from './place.ts'

/** `["a", "b"]`, or a line for the shell. */
export type Command =
  | { readonly form: 'exec'; readonly words: readonly string[] }
  | { readonly form: 'shell'; readonly line: string }

/** A `--mount` of RUN: its options as written. */
export type MountOptions = Readonly<Record<string, string>>

export interface RunInstruction {
  readonly kind: 'run'
  readonly command: Command
  readonly mounts: readonly MountOptions[]
  readonly network?: string
  readonly security?: string
  /** The whole command is one here-document that begins with `#!`: a program of its own. */
  readonly script?: string
}

export interface CopyInstruction {
  readonly kind: 'copy'
  readonly isAdd: boolean
  /** Names; of here-documents: `heredocs`. */
  readonly sources: readonly string[]
  readonly heredocs: readonly Heredoc[]
  readonly destination: string
  readonly from?: string
  readonly chown?: string
  readonly chmod?: string
  readonly checksum?: string
  readonly exclude: readonly string[]
  /** Keep the directories of a source (`--parents`). */
  readonly parents: boolean
  readonly link: boolean
  readonly keepGitDir: boolean
  /** ADD: absent: archives of the context are unpacked, those of URLs are not. */
  readonly unpack?: boolean
}

export interface HealthcheckInstruction {
  readonly kind: 'healthcheck'
  /** undefined: NONE. */
  readonly command?: Command
  readonly options: Readonly<Record<string, string>>
}

export type InstructionBody =
  | {
      readonly kind: 'from'
      readonly image: string
      readonly platform?: string
      readonly name?: string
    }
  | RunInstruction
  | CopyInstruction
  | HealthcheckInstruction
  | { readonly kind: 'env' | 'label'; readonly pairs: readonly (readonly [string, string])[] }
  | { readonly kind: 'arg'; readonly names: readonly (readonly [string, string | undefined])[] }
  | { readonly kind: 'workdir'; readonly value: string }
  | { readonly kind: 'user' | 'stopsignal' | 'maintainer'; readonly value: string }
  | { readonly kind: 'cmd' | 'entrypoint'; readonly command: Command }
  | { readonly kind: 'expose' | 'volume'; readonly words: readonly string[] }
  | { readonly kind: 'shell'; readonly words: readonly string[] }
  | { readonly kind: 'onbuild'; readonly trigger: string }

export type Instruction = InstructionBody & {
  readonly place: Place
  /** As written, on one line. */
  readonly text: string
}
