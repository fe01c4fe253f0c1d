import { TsstackError } from '../errors.ts'
import type { CommandContext } from './command.ts'

/**
 * Asks before something is lost, as Docker does: the answer may come through a pipe.
 * @throws {FAILED_PRECONDITION} there is nobody to answer
 */
export async function confirmed(context: CommandContext, question: string): Promise<boolean> {
  if (context.flags.bool('force')) return true
  const { createInterface } = await import('node:readline')
  process.stderr.write(`${question} [y/N] `)
  for await (const line of createInterface({ input: process.stdin })) {
    if (!process.stdin.isTTY) process.stderr.write('\n')
    return /^y(es)?$/i.test(line.trim())
  }
  process.stderr.write('\n')
  throw new TsstackError('FAILED_PRECONDITION', 'Cannot ask: standard input is empty', {
    hint: 'give --force (-f) where nobody can answer',
  })
}
