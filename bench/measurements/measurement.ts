import type { Engine, ServicePlace, StackPlace } from '../engines/engine.ts'
import { writeStackFile, type BenchService } from '../stack-files.ts'

/** What one line of the table says. */
export interface Row {
  readonly id: string
  readonly title: string
  readonly unit: 'ms' | 'µs' | 's' | 'MiB' | 'Gbit/s' | 'MB/s' | ''
  /** More is better (throughput); else less is. */
  readonly isRate?: boolean
  /** How many times better than the best peer (or than which one) it should be, for the last column. */
  readonly goal?: Goal
}

export interface Goal {
  readonly text: string
  /** @param peers - medians of the others by engine; may be empty */
  readonly isReached: (ours: number, peers: Readonly<Record<string, number>>) => boolean
}

/** One value for each row that could be measured, by the row's id. */
export type Values = Readonly<Record<string, number>>

/** Something that is done to each engine in turn, round after round, so that a drift of the machine meets them all. */
export interface Measurement<E = Engine> {
  readonly id: string
  readonly rows: readonly Row[]
  readonly rounds: number
  /** @returns undefined when this engine can't do it */
  readonly measure: (engine: E) => Promise<Values | undefined>
}

/** So many times better than the best of the peers. */
export function timesBetterThan(peer: 'best' | 'docker', factor: number, isRate = false): Goal {
  const whose = peer === 'best' ? 'the best peer' : 'Docker'
  return {
    text: factor === 1 ? `at least ${whose}'s` : `${String(factor)} × better than ${whose}`,
    isReached: (ours, peers) => {
      const values = Object.entries(peers)
        .filter(([id]) => id !== 'floor' && (peer === 'best' || id.startsWith('docker')))
        .map(([, value]) => value)
      return values.every((value) => (isRate ? ours >= value * factor : ours <= value / factor))
    },
  }
}

/** Brings a stack up, uses it, takes it down. */
export async function withStack<T>(
  engine: Engine,
  stack: { readonly project: string; readonly services: Readonly<Record<string, BenchService>> },
  use: (place: StackPlace) => Promise<T>,
): Promise<T> {
  const place = placeOf(engine, stack)
  try {
    await engine.sandbox.run(engine.up(place))
    return await use(place)
  } finally {
    await engine.sandbox.run(engine.down(place), { mayFail: true })
  }
}

/** Writes the stack file. */
export function placeOf(
  engine: Engine,
  {
    project,
    services,
  }: { readonly project: string; readonly services: Readonly<Record<string, BenchService>> },
): StackPlace {
  const file = writeStackFile(engine.work, project, { image: engine.image, services })
  return { project, file }
}

export function serviceOf(place: StackPlace, service: string): ServicePlace {
  return { ...place, service }
}
