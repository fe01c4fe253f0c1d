/** The stack files that a command line names, loaded: the only place where the command line meets `spec`. */
import { TsstackError } from '../errors.ts'
import type { LoadedStack } from '../spec/loaded-stack.ts'
import type { CommandContext } from './command.ts'

/**
 * Loads the stack files; warnings go to standard error.
 * @throws {INVALID_ARGUMENT} SpecError with file, line and column; {NOT_FOUND} when there is no stack file
 */
export function loadSource(context: CommandContext): Promise<LoadedStack> {
  return Promise.reject(
    new TsstackError(
      'UNIMPLEMENTED',
      `Cannot load a stack file in ${context.cwd}: spec is not there yet`,
    ),
  )
}
