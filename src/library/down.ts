import type { ProgressEvent } from '../api/types.ts'
import { connect } from './connect.ts'
import { follow } from './follow.ts'
import { loadStack } from './load-stack.ts'
import type { StackOptions } from './stack-options.ts'

export interface RemovalOptions {
  /** Only these services. */
  readonly services?: readonly string[]
  /** Remove the stack's named volumes too, and what is in them. */
  readonly volumes?: boolean
  /** Remove containers of services that the stack no longer has. */
  readonly removeOrphans?: boolean
  /** Seconds before a container is killed. Default: each service's own. */
  readonly timeoutSeconds?: number
}

export interface DownOptions extends StackOptions, RemovalOptions {
  /** Of the stack. With it neither files nor a value are needed: the daemon remembers. */
  readonly name?: string
  readonly onProgress?: (event: ProgressEvent) => void
  readonly signal?: AbortSignal
}

/**
 * Stops and removes the containers and networks of a stack. Nothing to be done is no error.
 * @throws {INVALID_ARGUMENT} SpecError, without `name`; {UNAVAILABLE} the daemon; {CANCELLED} by the signal
 */
export async function down(options: DownOptions = {}): Promise<void> {
  const { services, volumes, removeOrphans, timeoutSeconds } = options
  const name = options.name ?? (await loadStack(options)).stack.name
  const client = await connect(options.env)
  const given = { services, volumes, removeOrphans, timeoutSeconds }
  const wanted = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  ) as RemovalOptions
  await follow(client.down(name, { options: wanted }, options.signal), options.onProgress)
}
