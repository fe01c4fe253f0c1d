/** `up -d`, `up -d` again and `down` of stacks that differ in size: whole commands, as typed. */
import type { Engine } from '../engines/engine.ts'
import { idleServices } from '../stack-files.ts'
import { placeOf, timesBetterThan, type Measurement, type Row } from './measurement.ts'

const ROUNDS: Readonly<Record<number, number>> = { 1: 7, 10: 5, 50: 3 }
const COMPOSE_V2_NO_OP_MS = 110

function rowsOf(count: number): Row[] {
  const services = count === 1 ? '1 service' : `${String(count)} services`
  const tenfold = timesBetterThan('docker', 10)
  return [
    { id: `up-${String(count)}`, title: `\`up -d\`, ${services}`, unit: 'ms', goal: tenfold },
    {
      id: `no-op-${String(count)}`,
      title: `\`up -d\` again, ${services}`,
      unit: 'ms',
      goal: {
        text: 'faster than Compose v2, and than 0.11 s',
        isReached: (ours, peers) =>
          timesBetterThan('docker', 1).isReached(ours, peers) && ours < COMPOSE_V2_NO_OP_MS,
      },
    },
    { id: `down-${String(count)}`, title: `\`down\`, ${services}`, unit: 'ms', goal: tenfold },
    { id: `cpu-${String(count)}`, title: `CPU of all three, ${services}`, unit: 'ms' },
  ]
}

async function upAndDown(engine: Engine, count: number): Promise<Record<string, number>> {
  const place = placeOf(engine, { project: `up${String(count)}`, services: idleServices(count) })
  const cpuBefore = engine.sandbox.cpuMs()
  const up = await engine.sandbox.run(engine.up(place))
  const again = await engine.sandbox.run(engine.up(place))
  const down = await engine.sandbox.run(engine.down(place))
  return {
    [`up-${String(count)}`]: up.wallMs,
    [`no-op-${String(count)}`]: again.wallMs,
    [`down-${String(count)}`]: down.wallMs,
    [`cpu-${String(count)}`]: engine.sandbox.cpuMs() - cpuBefore,
  }
}

export const upDown: readonly Measurement[] = [1, 10, 50].map((count) => ({
  id: `up-down-${String(count)}`,
  rows: rowsOf(count),
  rounds: ROUNDS[count] ?? 3,
  measure: (engine) => upAndDown(engine, count),
}))
