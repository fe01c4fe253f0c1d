import { candidates } from '../complete.ts'
import { parseArgs, splitAtCommand, type Flags } from '../args.ts'
import type { Command, CommandContext } from '../command.ts'
import { completionScript, SHELLS, type Shell } from '../completion-scripts.ts'
import { didYouMean } from '../did-you-mean.ts'
import { TsstackError } from '../../errors.ts'
import { GLOBAL_FLAGS, readGlobalOptions } from '../global-options.ts'

function isShell(word: string): word is Shell {
  return (SHELLS as readonly string[]).includes(word)
}

export const command: Command = {
  usage: 'bash|zsh|fish',
  summary: 'Print what a shell needs to complete commands, flags and services',
  flags: [],
  examples: [
    ['source <(tsstack completion bash)', 'For this shell; in ~/.bashrc for all'],
    ['tsstack completion fish > ~/.config/fish/completions/tsstack.fish', 'For fish'],
  ],
  arguments: { min: 1, max: 1 },
  run({ positional: [word = ''], output }) {
    if (!isShell(word))
      throw new TsstackError(
        'INVALID_ARGUMENT',
        `Cannot complete for "${word}": expected ${SHELLS.join(', ')}${didYouMean(word, SHELLS)}`,
      )
    output.write(completionScript(word))
    return Promise.resolve(0)
  },
}

/** With the `-f`, `-p` and their like of the command line that is being typed. */
function withTypedGlobals(context: CommandContext): CommandContext {
  try {
    const { before } = splitAtCommand(GLOBAL_FLAGS, context.positional.slice(0, -1))
    const read = (words: readonly string[]): Flags =>
      parseArgs({ flags: [], globals: GLOBAL_FLAGS, passthrough: true }, words).flags
    return { ...context, global: readGlobalOptions(read(before), read([]), context.env) }
  } catch {
    return context
  }
}

/** What the scripts ask. */
export const complete: Command = {
  usage: '[WORD...]',
  summary: 'Print how the last word could go on',
  flags: [],
  examples: [['tsstack __complete up --no', 'Flags of "up" that begin so']],
  passthrough: true,
  async run(context) {
    const found = await candidates(context.positional, withTypedGlobals(context))
    context.output.write(found.map((word) => `${word}\n`).join(''))
    return 0
  },
}
