import type { LoadedStack } from '../spec/loaded-stack.ts'
import type { StackOptions } from './stack-options.ts'
import { toSourceOptions } from './stack-options.ts'

/**
 * Loads a stack: files merged, variables replaced, validated, in canonical form. Needs no daemon.
 * @throws {INVALID_ARGUMENT} SpecError, whose `diagnostics` are all that is wrong, each with its place; {NOT_FOUND} when
 *   there is no stack file
 */
export async function loadStack(options: StackOptions = {}): Promise<LoadedStack> {
  const { loadSources } = await import('../sources/load-sources.ts')
  return loadSources(toSourceOptions(options))
}
