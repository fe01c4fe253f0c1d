import type { ProgressEvent } from '../api/types.ts'
import { connect } from './connect.ts'
import { follow } from './follow.ts'
import { planningOptions } from '../planner/desired-state.ts'
import type { ServiceOptions } from './plan.ts'
import { createRunningStack } from './running-stack.ts'
import type { RunningStack } from './running-stack.ts'
import type { StackOptions } from './stack-options.ts'
import { toSourceOptions } from './stack-options.ts'

export interface UpOptions extends StackOptions, ServiceOptions {
  /** Seconds before a container that is replaced is killed. Default: each service's own. */
  readonly timeoutSeconds?: number
  /** Seconds until all services are ready; then it fails. Default: no end. */
  readonly waitTimeoutSeconds?: number
  /** Whether taking it down by `await using` removes its named volumes too. Default: false, they stay. */
  readonly removeVolumes?: boolean
  readonly onProgress?: (event: ProgressEvent) => void
  readonly signal?: AbortSignal
}

/**
 * Brings a stack up, as `tsstack up -d --wait` does: when it returns, each service is healthy, or runs and has no health
 * check, or has completed with success. What runs already and has not changed is left alone.
 *
 * ```ts
 * await using stack = await up({ files: ['stack.yaml'] })
 * ```
 *
 * takes it down at the end of the block. When it fails, what it has started stays, for whoever looks into it; `down()`
 * removes that.
 *
 * @throws {INVALID_ARGUMENT} SpecError; {NOT_FOUND} an image or a stack file; {FAILED_PRECONDITION} when a service will
 *   not become ready, or not in time; {UNAVAILABLE} the daemon; {CANCELLED} by the signal
 */
export async function up(options: UpOptions = {}): Promise<RunningStack> {
  const { loadWithServices } = await import('../sources/load-sources.ts')
  const loaded = await loadWithServices(toSourceOptions(options), options.services ?? [])
  const client = await connect(options.env)
  const { stack, files, workingDir, contents, disabledServices } = loaded
  const { timeoutSeconds, waitTimeoutSeconds, removeVolumes = false } = options
  const { credentialsForStack } = await import('../sources/registry-credentials.ts')
  const request = {
    ...(await credentialsForStack(options.env ?? process.env, stack)),
    stack,
    files,
    workingDir,
    contents,
    disabledServices,
    options: {
      ...planningOptions(options),
      ...(options.noStart === true ? {} : { wait: true }),
      ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
      ...(waitTimeoutSeconds === undefined ? {} : { waitTimeoutSeconds }),
    },
  }
  const outcome = await follow(client.up(stack.name, request, options.signal), options.onProgress)
  return createRunningStack({ client, loaded, changed: outcome.changed, removeVolumes })
}
