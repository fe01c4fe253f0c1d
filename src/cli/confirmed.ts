import { TsstackError } from '../errors.ts'
import type { CommandContext } from './command.ts'

/**
 * Asks before something is lost, as Docker does: the answer may come through a pipe.
 * @throws {FAILED_PRECONDITION} there is nobody to answer
 */
export async function confirmed(context: CommandContext, question: string): Promise<boolean> {
  if (context.flags.bool('force')) return true
  return allConfirmed([question], '--force (-f)')
}

/**
 * Asks one question after the other, until one is denied.
 * @param flag - says yes to all of them
 * @throws {FAILED_PRECONDITION} there is nobody to answer
 */
export async function allConfirmed(questions: readonly string[], flag: string): Promise<boolean> {
  const [first, ...others] = questions
  if (first === undefined) return true
  const { createInterface } = await import('node:readline')
  process.stderr.write(`${first} [y/N] `)
  for await (const line of createInterface({ input: process.stdin })) {
    if (!process.stdin.isTTY) process.stderr.write('\n')
    if (!/^y(es)?$/i.test(line.trim())) return false
    const next = others.shift()
    if (next === undefined) return true
    process.stderr.write(`${next} [y/N] `)
  }
  process.stderr.write('\n')
  throw new TsstackError('FAILED_PRECONDITION', 'Cannot ask: standard input is empty', {
    hint: `give ${flag} where nobody can answer`,
  })
}
