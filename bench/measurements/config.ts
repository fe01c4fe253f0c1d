/** `config -q`: what reading and checking a stack file costs, and how that grows with the number of services. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Engine, StackPlace } from '../engines/engine.ts'
import { timesBetterThan, type Measurement, type Row } from './measurement.ts'

const SIZES = [100, 500, 1000, 5000, 10_000]
const COMPARED = 500
/** docker-compose 1.29 on the machine kind that the goal was set on. */
const COMPOSE_V1_MS = 2800

/** A tree of dependencies: Compose v2 walks all paths, and never ends where there are many. */
function writeServices(engine: Engine, count: number): StackPlace {
  const lines = Array.from({ length: count }, (_, index) => {
    const parent = Math.floor((index - 1) / 2)
    const needs = index === 0 ? '' : `    depends_on: [s${String(parent)}]\n`
    return `  s${String(index)}:\n    image: busybox\n    command: sleep 1000\n    environment:\n      INDEX: "${String(index)}"\n    ports:\n      - "${String(10_000 + index)}:80"\n${needs}`
  })
  const file = path.join(engine.work, `config-${String(count)}.yaml`)
  writeFileSync(file, `services:\n${lines.join('')}`)
  return { project: 'config', file }
}

const rowOf = (count: number): Row => ({
  id: `config-${String(count)}`,
  title: `\`config -q\`, ${String(count)} services`,
  unit: 'ms',
  ...(count === COMPARED
    ? {
        goal: {
          text: 'a tenth of 2.8 s, and faster than Compose v2',
          isReached: (ours, peers) =>
            ours < COMPOSE_V1_MS / 10 && timesBetterThan('docker', 1).isReached(ours, peers),
        },
      }
    : {}),
})

export const config: Measurement = {
  id: 'config',
  rounds: 3,
  rows: SIZES.map(rowOf),
  measure: async (engine) => {
    const sizes = engine.id === 'tsstack' ? SIZES : [COMPARED]
    const values: Record<string, number> = {}
    for (const count of sizes) {
      const words = engine.config(writeServices(engine, count))
      values[`config-${String(count)}`] = (await engine.sandbox.run(words)).wallMs
    }
    return values
  },
}
