/** Commands with a word of their own behind: `network ls`, `volume rm data`. */
import { TsstackError } from '../errors.ts'
import type { Flag } from './args.ts'
import type { Command, Subcommand } from './command.ts'
import { didYouMean } from './did-you-mean.ts'

/** A command whose first argument is one of these words. Its `run` throws {INVALID_ARGUMENT}, naming the right ones. */
export function withSubcommands(
  name: string,
  description: Omit<Command, 'run' | 'usage'>,
  subcommands: Readonly<Record<string, Subcommand>>,
): Command {
  const { flags } = description
  const words = Object.keys(subcommands)
  return {
    ...description,
    usage: `${words.length === 1 ? words.join('') : 'COMMAND'} [OPTIONS]`,
    subcommands,
    run: async (context) => {
      const [word = '', ...names] = context.positional
      const known = Object.hasOwn(subcommands, word) ? subcommands[word] : undefined
      if (known === undefined)
        throw new TsstackError(
          'INVALID_ARGUMENT',
          word === ''
            ? `"tsstack ${name}" needs a command: ${words.join(', ')}`
            : `unknown command: "tsstack ${name} ${word}"${didYouMean(word, words)}`,
          { hint: `tsstack ${name} ${words.length === 1 ? words.join('') : 'COMMAND'} --help` },
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
    },
  }
}

/** Those of a command's flags that a word takes, with what they mean there. */
export function flagsOf(
  { flags, subcommands = {} }: Pick<Command, 'flags' | 'subcommands'>,
  word: string,
): Flag[] {
  return flags
    .filter(
      ({ name, words }) =>
        subcommands[word]?.flags.includes(name) && (words?.includes(word) ?? true),
    )
    .map((flag) => ({ ...flag, help: helpBehind(flag.help, word, subcommands) }))
}

/** Of `prune: do not ask; rm: all names of an ID` what is about the word; a text that names no word is about all. */
function helpBehind(help: string, word: string, subcommands: object): string {
  const parts = help.split(/; (?=[a-z, ]+: )/)
  for (const part of parts) {
    const [, names = '', text = ''] = /^([a-z, ]+): (.+)$/.exec(part) ?? []
    const words = names.split(', ')
    if (words.includes(word) && words.every((each) => Object.hasOwn(subcommands, each)))
      return text.replace(/^[a-z](?=[a-z]* )/, (letter) => letter.toUpperCase())
  }
  return help
}
