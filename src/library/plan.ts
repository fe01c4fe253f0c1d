import type { PlanResponse } from '../api/types.ts'
import { planningOptions, type UpOptions as PlanOptions } from '../planner/desired-state.ts'
import { connect } from './connect.ts'
import type { StackOptions } from './stack-options.ts'
import { toSourceOptions } from './stack-options.ts'

/** What is wanted of the services. */
export type ServiceOptions = PlanOptions

/**
 * What `up()` with the same options would do now, and why; it does nothing.
 * @throws {INVALID_ARGUMENT} SpecError; {NOT_FOUND} an image or a stack file; {UNAVAILABLE} the daemon
 */
export async function plan(options: StackOptions & ServiceOptions = {}): Promise<PlanResponse> {
  const { loadWithServices } = await import('../sources/load-sources.ts')
  const loaded = await loadWithServices(toSourceOptions(options), options.services ?? [])
  const client = await connect(options.env)
  const { stack, files, workingDir, contents, disabledServices } = loaded
  const { credentialsForStack } = await import('../sources/registry-credentials.ts')
  const credentials = await credentialsForStack(options.env ?? process.env, stack)
  const source = { stack, files, workingDir, contents, disabledServices, ...credentials }
  return client.plan(stack.name, { ...source, options: planningOptions(options) })
}
