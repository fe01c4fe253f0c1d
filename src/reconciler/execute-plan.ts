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

/** An operation that has not begun. */
interface Pending {
  readonly operation: Operation
  /** Dependencies that have not ended. */
  open: number
  /** One of them has failed. */
  isDoomed: boolean
}

/** Time is linear in operations and dependencies, but for the work itself. */
class Execution {
  readonly #options: ExecuteOptions
  readonly #pending: ReadonlyMap<OperationId, Pending>
  /** What comes after each operation. */
  readonly #dependents = new Map<OperationId, Pending[]>()
  /** What may begin, in the order in which that came about; those before `#next` have. */
  readonly #ready: Operation[] = []
  #next = 0
  #left: number
  #busy = 0
  #firstError: unknown
  #finish: () => void = () => undefined

  constructor({ operations }: Plan, options: ExecuteOptions) {
    this.#options = options
    this.#left = operations.length
    this.#pending = new Map(
      operations.map((operation) => [
        operation.id,
        { operation, open: operation.dependsOn.length, isDoomed: false },
      ]),
    )
    for (const pending of this.#pending.values()) {
      for (const id of pending.operation.dependsOn) {
        const dependents = this.#dependents.get(id)
        if (dependents) dependents.push(pending)
        else this.#dependents.set(id, [pending])
      }
    }
  }

  async run(): Promise<void> {
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve
    })
    for (const { operation, open } of this.#pending.values()) if (open === 0) this.#admit(operation)
    this.#advance()
    await finished
    if (this.#firstError !== undefined) throw toTsstackError(this.#firstError)
  }

  /** What only waits takes nobody's place. */
  #admit(operation: Operation): void {
    if (isWait(operation)) void this.#drive(operation)
    else this.#ready.push(operation)
  }

  #advance(): void {
    while (this.#busy < this.#options.concurrency) {
      const operation = this.#ready[this.#next]
      if (operation === undefined) break
      this.#next++
      void this.#drive(operation)
    }
    if (this.#left === 0) this.#finish()
  }

  async #drive(operation: Operation): Promise<void> {
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

  /** What can't be done any more has failed, too, and so on; an optional wait is over, well or not. */
  #settle(operation: Operation, outcome: Outcome): void {
    const settled: { readonly id: OperationId; readonly outcome: Outcome }[] = [
      { id: operation.id, outcome },
    ]
    for (const { id, outcome: how } of settled) {
      this.#left--
      for (const dependent of this.#dependents.get(id) ?? []) {
        dependent.open--
        dependent.isDoomed ||= how === 'failed' && !isOptionalWait(dependent.operation)
        if (dependent.open > 0) continue
        if (dependent.isDoomed) settled.push({ id: dependent.operation.id, outcome: 'failed' })
        else this.#admit(dependent.operation)
      }
    }
  }
}

function isWait(operation: Operation): boolean {
  return operation.kind === 'wait-for-service'
}

function isOptionalWait(operation: Operation): boolean {
  return operation.kind === 'wait-for-service' && !operation.required
}
