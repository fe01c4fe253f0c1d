import type { Client } from '../client/client.ts'
import type { Flag, ParsedArgs } from './args.ts'
import type { GlobalOptions } from './global-options.ts'
import type { Output } from './output.ts'

/** What a command gets when it runs. */
export interface CommandContext extends ParsedArgs {
  readonly global: GlobalOptions
  readonly output: Output
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
  /** The daemon, started when none runs. */
  readonly client: () => Promise<Client>
}

/** What a word behind a command does: `ls` of `network ls`. */
export interface Subcommand {
  /** What follows the word: `NAME...`. */
  readonly usage: string
  /** Begins with a small letter, without a period. */
  readonly summary: string
  /** How many arguments follow the word. */
  readonly arguments: { readonly min: number; readonly max?: number }
  /** Names of the flags that it takes; others are refused. */
  readonly flags: readonly string[]
  /** @param names - the arguments behind the word */
  readonly run: (context: CommandContext, names: readonly string[]) => Promise<number>
}

/** One command: its grammar, its help, and what it does. */
export interface Command {
  /** After `tsstack NAME`: `[OPTIONS] [SERVICE...]`. */
  readonly usage: string
  readonly summary: string
  readonly details?: string
  readonly flags: readonly Flag[]
  /** Whole command lines with a word on each. */
  readonly examples: readonly (readonly [command: string, meaning: string])[]
  /** The first argument ends the flags: what follows belongs to a program. */
  readonly passthrough?: boolean
  /** How many arguments are right; absent: any number. */
  readonly arguments?: { readonly min: number; readonly max?: number }
  /** The words that have to follow, each with arguments and flags of its own. */
  readonly subcommands?: Readonly<Record<string, Subcommand>>
  /** @returns the exit code */
  readonly run: (context: CommandContext) => Promise<number>
}
