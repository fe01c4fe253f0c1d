/** Counters of the reconciler's own work, since the daemon began. */
import type { EngineEvent } from '../../api/types.ts'
import type { MetricFamily, Sample } from './exposition.ts'

/** Upper bounds in seconds: from a plan that changes nothing to a long pull. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
/** Stacks and the like whose names may be label values; more are counted together. */
const MAX_SERIES = 1000
const OTHER = '(other)'

export type Result = 'success' | 'failure'

export interface ReconcileMetrics {
  plan(stack: string, result: Result, seconds: number): void
  operation(kind: string, result: Result): void
  event(event: EngineEvent): void
  families(): MetricFamily[]
}

export function createReconcileMetrics(): ReconcileMetrics {
  const durations = new Map<string, Histogram>()
  const operations = new LabelledCounter(['kind', 'result'])
  const events = new LabelledCounter(['type', 'action'])
  return {
    plan(stack, result, seconds) {
      const name = durations.size < MAX_SERIES ? stack : OTHER
      const key = JSON.stringify([name, result])
      const histogram = durations.get(key) ?? new Histogram({ stack: name, result })
      durations.set(key, histogram)
      histogram.observe(seconds)
    },
    operation: (kind, result) => {
      operations.count([kind, result])
    },
    event: ({ type, action }) => {
      events.count([type, action.replace(/:.*/s, '')]) // `exec_create: ls -l`, `health_status: healthy`
    },
    families: () => [
      {
        name: 'tsstack_reconcile_duration_seconds',
        help: 'Time that it took to carry out a plan.',
        type: 'histogram',
        samples: [...durations.values()].flatMap((histogram) => histogram.samples()),
      },
      {
        name: 'tsstack_operations_total',
        help: 'Operations of plans that were carried out.',
        type: 'counter',
        samples: operations.samples(),
      },
      {
        name: 'tsstack_events_total',
        help: 'Events of the engine.',
        type: 'counter',
        samples: events.samples(),
      },
    ],
  }
}

class LabelledCounter {
  readonly #names: readonly string[]
  readonly #counts = new Map<string, number>()

  constructor(names: readonly string[]) {
    this.#names = names
  }

  count(values: readonly string[]): void {
    const key = JSON.stringify(values)
    if (!this.#counts.has(key) && this.#counts.size >= MAX_SERIES) return
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
  }

  samples(): Sample[] {
    return [...this.#counts].map(([key, value]) => {
      const values = JSON.parse(key) as string[]
      const labels = this.#names.map((name, index) => [name, values[index] ?? ''] as const)
      return { labels: Object.fromEntries(labels), value }
    })
  }
}

class Histogram {
  readonly #labels: Readonly<Record<string, string>>
  readonly #counts = BUCKETS.map(() => 0)
  #sum = 0
  #count = 0

  constructor(labels: Readonly<Record<string, string>>) {
    this.#labels = labels
  }

  observe(value: number): void {
    for (const [index, bound] of BUCKETS.entries())
      if (value <= bound) this.#counts[index] = (this.#counts[index] ?? 0) + 1
    this.#sum += value
    this.#count++
  }

  samples(): Sample[] {
    const bucket = (bound: number, value: number): Sample => ({
      labels: { ...this.#labels, le: bound === Infinity ? '+Inf' : String(bound) },
      value,
      suffix: '_bucket',
    })
    return [
      ...BUCKETS.map((bound, index) => bucket(bound, this.#counts[index] ?? 0)),
      bucket(Infinity, this.#count),
      { labels: this.#labels, value: this.#sum, suffix: '_sum' },
      { labels: this.#labels, value: this.#count, suffix: '_count' },
    ]
  }
}
