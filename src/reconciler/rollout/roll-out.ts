/**
 * A rollout of a new version of a service (Compose: deploy.update_config, deploy.rollback_config): some replicas at a
 * time, each only kept when it is as it should be. Old containers are kept, stopped, as long as the way back may be needed.
 */
import type { ProgressEvent } from '../../api/types.ts'
import { toTsstackError, TsstackError } from '../../errors.ts'
import type { Operation, RolledReplica } from '../../planner/plan.ts'
import type { Context } from '../context.ts'
import { createContainer } from '../create-container.ts'
import { lastOutput } from '../last-output.ts'
import { removeContainer } from '../remove-container.ts'
import type { ResolvedStack } from '../resolved-stack.ts'
import { inGroups, type Failure } from './in-groups.ts'
import { replaceReplica, stopReplica } from './replace-replica.ts'

type RolloutOperation = Operation & { readonly kind: 'roll-out-service' }

export interface RolloutOptions {
  readonly resolved: ResolvedStack
  readonly graceMs?: number
  /** Raised when it is to wait for nothing any more. */
  readonly hurry?: AbortSignal
  readonly progress?: (event: ProgressEvent) => void
}

/**
 * @returns a warning for the user
 * @throws {FAILED_PRECONDITION} when the service does not run in its new version: what serves now is in the message
 */
export async function rollOut(
  context: Context,
  operation: RolloutOperation,
  options: RolloutOptions,
): Promise<string | undefined> {
  return new Rollout(context, operation, options).run()
}

class Rollout {
  readonly #context: Context
  readonly #operation: RolloutOperation
  readonly #options: RolloutOptions
  /** New containers by replica, as soon as they are made. */
  readonly #made = new Map<RolledReplica, string>()
  readonly #warnings: string[] = []
  #updated = 0
  /** Of the first replica that failed: its log may be removed with it. */
  #output: string | undefined

  constructor(context: Context, operation: RolloutOperation, options: RolloutOptions) {
    this.#context = context
    this.#operation = operation
    this.#options = options
  }

  async run(): Promise<string | undefined> {
    const { replicas, policies } = this.#operation
    const { hurry } = this.#options
    const groups = { policy: policies.update, hurry }
    const { failed, isExceeded } = await inGroups(replicas, groups, (replica) =>
      this.#update(replica),
    )
    if (hurry?.aborted === true && this.#updated < replicas.length) throw await this.#interrupted()
    const action = policies.update.failureAction
    if (isExceeded) await this.#keepOutput(failed)
    if (isExceeded && action === 'rollback') throw await this.#rollBack(failed)
    await this.#clear()
    if (isExceeded && action === 'pause') throw this.#paused(failed)
    for (const { error } of failed)
      this.#warnings.push(`not updated: ${toTsstackError(error).message}`)
    return this.#warnings.length === 0 ? undefined : this.#warnings.join('; ')
  }

  async #update(replica: RolledReplica): Promise<void> {
    const { policies } = this.#operation
    const to = await this.#make(replica)
    this.#note(
      await this.#replace({ from: replica.containerId, to, suffix: 'old' }, policies.update),
    )
    this.#updated++
    this.#tell(`${replica.container} is updated (${this.#count()})`)
    // Only a rollback needs it any more.
    if (policies.update.failureAction !== 'rollback') await this.#remove(replica.containerId)
  }

  async #make(replica: RolledReplica): Promise<string> {
    const { resolved } = this.#options
    const old = this.#context.containers.get(replica.containerId)
    const { id } = await createContainer(this.#context, {
      resolved,
      service: this.#operation.service,
      number: replica.number,
      name: `${replica.container}-next`,
      inherits: replica.inherits ? (old?.anonymousVolumes ?? {}) : {},
      standby: true,
    })
    this.#made.set(replica, id)
    return id
  }

  async #replace(
    { from, to, suffix }: { from: string; to: string; suffix: 'old' | 'failed' },
    policy: RolloutOperation['policies']['update'],
  ): Promise<string | undefined> {
    const { drainMs } = this.#operation.policies
    const { graceMs, hurry } = this.#options
    const grace = graceMs === undefined ? {} : { graceMs }
    return replaceReplica(this.#context, { from, to, suffix, policy, drainMs, hurry, ...grace })
  }

  /** Every replica that has its new container in place gets its old one back. */
  async #rollBack(failed: readonly Failure<RolledReplica>[]): Promise<TsstackError> {
    const { rollback } = this.#operation.policies
    const replaced = [...this.#made].filter(([, id]) => this.#serves(id))
    this.#tell(`rolling back: ${reasonOf(failed)}`)
    const back = await inGroups(replaced, { policy: rollback }, async ([{ containerId }, id]) => {
      this.#note(await this.#replace({ from: id, to: containerId, suffix: 'failed' }, rollback))
    })
    await this.#clear()
    if (back.failed.length === 0)
      return this.#failure(failed, 'rolled back, the version before serves')
    return this.#failure(failed, `rolling back has failed too: ${reasonOf(back.failed)}`)
  }

  /** Whoever has come decides on what is left to do. */
  async #interrupted(): Promise<TsstackError> {
    await this.#clear()
    return new TsstackError(
      'CANCELLED',
      `Cannot go on updating service "${this.#operation.service}": another request has come; ${this.#count()} updated`,
    )
  }

  #paused(failed: readonly Failure<RolledReplica>[]): TsstackError {
    const { replicas, policies } = this.#operation
    if (this.#updated === 0 && policies.update.order === 'start-first')
      return this.#failure(failed, 'the version before goes on serving')
    const others = policies.update.order === 'start-first' ? 'the others go on as before' : ''
    return this.#failure(
      failed,
      `the update is paused with ${this.#count()} updated${replicas.length > 1 && others !== '' ? `, ${others}` : ''}`,
    )
  }

  #failure(failed: readonly Failure<RolledReplica>[], state: string): TsstackError {
    return new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot update service "${this.#operation.service}": ${reasonOf(failed)}; ${state}`,
      { cause: failed[0]?.error, ...(this.#output === undefined ? {} : { hint: this.#output }) },
    )
  }

  async #keepOutput([first]: readonly Failure<RolledReplica>[]): Promise<void> {
    const id = first === undefined ? undefined : this.#made.get(first.item)
    this.#output = await lastOutput(this.#context, id)
  }

  /**
   * Removes what has served and does not any more, and what never came to serve. After a pause that is stopped only: its
   * log tells why.
   */
  async #clear(): Promise<void> {
    const keep = this.#operation.policies.update.failureAction === 'pause'
    for (const [{ containerId }, id] of this.#made) {
      const [idle, isNew] = this.#serves(id) ? [containerId, false] : [id, true]
      if (this.#serves(idle)) continue
      if (keep && isNew) this.#note(await stopReplica(this.#context, id, this.#options))
      else await this.#remove(idle)
    }
  }

  async #remove(id: string): Promise<void> {
    if (this.#context.containers.get(id) === undefined) return
    this.#note(await stopReplica(this.#context, id, this.#options))
    await this.#context.locks.run(id, () => removeContainer(this.#context, id))
  }

  #serves(id: string): boolean {
    const record = this.#context.containers.get(id)
    return record !== undefined && record.part === undefined
  }

  #count(): string {
    return `${String(this.#updated)} of ${String(this.#operation.replicas.length)}`
  }

  #note(warning: string | undefined): void {
    if (warning !== undefined) this.#warnings.push(warning)
  }

  #tell(detail: string): void {
    const { id, service } = this.#operation
    this.#options.progress?.({
      type: 'operation',
      id,
      resource: 'service',
      name: service,
      action: 'Updating',
      status: 'progress',
      detail,
    })
  }
}

function reasonOf(failed: readonly Failure<unknown>[]): string {
  return toTsstackError(failed[0]?.error).message
}
