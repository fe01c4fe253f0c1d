/**
 * Runs a plan: each operation as soon as those it depends on have succeeded, at most so many at once. It decides
 * nothing: an operation that fails stops what depends on it, the rest goes on, and the first failure is reported.
 */
import type { ProgressEvent } from '../api/types.ts'
import type { Operation, OperationId, Plan } from '../planner/plan.ts'
import { toTsstackError } from '../errors.ts'
import { describeOperation } from './operation-words.ts'

export type OperationDriver = (
  operation: Operation,
) => Promise<{ readonly detail?: string; readonly warning?: string }>

export interface ExecuteOptions {
  readonly drive: OperationDriver
  readonly progress: (event: ProgressEvent) => void
  /** Operations at the same time; those that only wait are not counted. */
  readonly concurrency: number
}

/** @throws the first failure, when all that could run has run */
export async function executePlan(plan: Plan, options: ExecuteOptions): Promise<void> {
  const execution = new Execution(plan, options)
  await execution.run()
}

type Outcome = 'done' | 'failed'

class Execution {
  readonly #plan: Plan
  readonly #options: ExecuteOptions
  readonly #outcomes = new Map<OperationId, Outcome>()
  readonly #started = new Set<OperationId>()
  #busy = 0
  #firstError: unknown
  #finish: () => void = () => undefined

  constructor(plan: Plan, options: ExecuteOptions) {
    this.#plan = plan
    this.#options = options
  }

  async run(): Promise<void> {
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve
    })
    this.#advance()
    await finished
    if (this.#firstError !== undefined) throw toTsstackError(this.#firstError)
  }

  #advance(): void {
    let progressed = true
    while (progressed) {
      progressed = false
      for (const operation of this.#plan.operations) {
        if (this.#started.has(operation.id)) continue
        const readiness = this.#readiness(operation)
        if (readiness === 'blocked') continue
        if (readiness === 'never') {
          this.#settle(operation, 'failed')
          progressed = true
        } else if (this.#busy < this.#options.concurrency || isWait(operation))
          void this.#drive(operation)
      }
    }
    if (this.#outcomes.size === this.#plan.operations.length) this.#finish()
  }

  #readiness(operation: Operation): 'ready' | 'blocked' | 'never' {
    const outcomes = operation.dependsOn.map((id) => this.#outcomes.get(id))
    if (outcomes.includes(undefined)) return 'blocked'
    // An optional wait is over when what it waits for has ended, well or not.
    if (outcomes.includes('failed') && !isOptionalWait(operation)) return 'never'
    return 'ready'
  }

  async #drive(operation: Operation): Promise<void> {
    this.#started.add(operation.id)
    if (!isWait(operation)) this.#busy++
    const words = describeOperation(operation)
    const { progress } = this.#options
    const startedAt = performance.now()
    const base = {
      type: 'operation',
      id: operation.id,
      resource: words.resource,
      name: words.name,
    } as const
    const elapsed = (): number => Math.round(performance.now() - startedAt)
    if (words.doing !== undefined) progress({ ...base, action: words.doing, status: 'started' })
    try {
      const { detail, warning } = await this.#options.drive(operation)
      if (warning !== undefined) progress({ type: 'warning', message: warning })
      if (words.doing !== undefined) {
        progress({
          ...base,
          action: words.done,
          status: 'done',
          elapsedMs: elapsed(),
          ...(detail === undefined ? {} : { detail }),
        })
      }
      this.#settle(operation, 'done')
    } catch (error) {
      progress({
        ...base,
        action: words.doing ?? words.done,
        status: 'failed',
        detail: toTsstackError(error).message,
        elapsedMs: elapsed(),
      })
      this.#firstError ??= error
      this.#settle(operation, 'failed')
    }
    if (!isWait(operation)) this.#busy--
    this.#advance()
  }

  #settle(operation: Operation, outcome: Outcome): void {
    this.#started.add(operation.id)
    this.#outcomes.set(operation.id, outcome)
  }
}

function isWait(operation: Operation): boolean {
  return operation.kind === 'wait-for-service'
}

function isOptionalWait(operation: Operation): boolean {
  return operation.kind === 'wait-for-service' && !operation.required
}
