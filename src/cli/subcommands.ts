/** Commands with a word of their own behind: `network ls`, `volume rm data`. */
import { TsstackError } from '../errors.ts'
import type { Command, CommandContext } from './command.ts'
import { didYouMean } from './did-you-mean.ts'

export interface Subcommand {
  /** What follows the word: `NAME...`. */
  readonly usage: string
  readonly summary: string
  /** How many arguments follow the word. */
  readonly arguments: { readonly min: number; readonly max?: number }
  /** Names of the flags that it takes; others are refused. */
  readonly flags: readonly string[]
  /** @param names - the arguments behind the word */
  readonly run: (context: CommandContext, names: readonly string[]) => Promise<number>
}

/** The `run` of a command that has subcommands. @throws {INVALID_ARGUMENT} naming the right words */
export function runSubcommand(
  name: string,
  { flags }: Pick<Command, 'flags'>,
  subcommands: Readonly<Record<string, Subcommand>>,
): Command['run'] {
  return async (context) => {
    const [word = '', ...names] = context.positional
    const known = Object.hasOwn(subcommands, word) ? subcommands[word] : undefined
    if (known === undefined)
      throw new TsstackError(
        'INVALID_ARGUMENT',
        `unknown command: "tsstack ${name} ${word}"${didYouMean(word, Object.keys(subcommands))}`,
        { hint: `tsstack ${name} ${Object.keys(subcommands).join('|')}` },
      )
    const { min, max = Infinity } = known.arguments
    const hint = `tsstack ${name} ${word} ${known.usage}`
    if (names.length < min || names.length > max)
      throw new TsstackError(
        'INVALID_ARGUMENT',
        `"tsstack ${name} ${word}" takes ${known.usage === '' ? 'no arguments' : known.usage}`,
        { hint },
      )
    const foreign = flags.find(
      (flag) => context.flags.has(flag.name) && !known.flags.includes(flag.name),
    )
    if (foreign !== undefined)
      throw new TsstackError(
        'INVALID_ARGUMENT',
        `"tsstack ${name} ${word}" has no flag --${foreign.name}`,
        { hint },
      )
    return known.run(context, names)
  }
}

/** A line for each subcommand, for the help. */
export function describeSubcommands(subcommands: Readonly<Record<string, Subcommand>>): string {
  return Object.entries(subcommands)
    .map(([word, { usage, summary }]) => `${`${word} ${usage}`.trim()}: ${summary}.`)
    .join('\n')
}
