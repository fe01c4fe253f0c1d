/** Memory of the engine's own processes (PSS: what is shared counts by share), without what runs in containers. */
import type { Engine } from '../engines/engine.ts'
import { memoryOf } from '../sandbox.ts'
import { idleServices } from '../stack-files.ts'
import { withStack, type Measurement, type Row } from './measurement.ts'

const MIB = 1024 * 1024
const MOST_MIB = 100
const COUNT = 50

/** Its processes at this moment. */
export function engineMemory({ sandbox }: Engine): { mib: number; processes: number } {
  const found = sandbox.processes().flatMap((pid) => memoryOf(pid) ?? [])
  return {
    mib: found.reduce((sum, { pssBytes }) => sum + pssBytes, 0) / MIB,
    processes: found.length,
  }
}

const ROWS: readonly Row[] = [
  { id: 'memory-0', title: 'memory of the engine, no container', unit: 'MiB' },
  {
    id: 'memory-50',
    title: 'memory of the engine, 50 containers',
    unit: 'MiB',
    goal: {
      text: `under ${String(MOST_MIB)} MB`,
      isReached: (ours) => ours * MIB < MOST_MIB * 1e6,
    },
  },
  {
    id: 'processes-50',
    title: 'processes of the engine, 50 containers',
    unit: '',
    goal: { text: 'none for a container', isReached: (ours) => ours < COUNT },
  },
]

export const memory: Measurement = {
  id: 'memory',
  rounds: 2,
  rows: ROWS,
  measure: async (engine) => {
    const before = engineMemory(engine)
    return withStack(engine, { project: 'memory', services: idleServices(COUNT) }, () => {
      const { mib, processes } = engineMemory(engine)
      const values = { 'memory-0': before.mib, 'memory-50': mib, 'processes-50': processes }
      return Promise.resolve(values)
    })
  },
}
