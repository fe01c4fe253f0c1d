import type { Command } from '../command.ts'
import { completionScript, SHELLS, type Shell } from '../completion-scripts.ts'
import { didYouMean } from '../did-you-mean.ts'
import { TsstackError } from '../../errors.ts'

function isShell(word: string): word is Shell {
  return (SHELLS as readonly string[]).includes(word)
}

export const command: Command = {
  usage: 'bash|zsh|fish',
  summary: 'Print what a shell needs to complete commands, flags and services',
  flags: [],
  examples: [
    ['tsstack completion fish > ~/.config/fish/completions/tsstack.fish', 'For fish'],
    ['source <(tsstack completion bash)', 'For this shell; in ~/.bashrc for all'],
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
