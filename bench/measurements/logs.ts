/** A million lines of 100 bytes: how long the program is held up, and how long reading them back takes. */
import type { Engine, StackPlace } from '../engines/engine.ts'
import { serviceOf, timesBetterThan, placeOf, type Measurement, type Row } from './measurement.ts'

const LINES = 1_000_000
const WIDTH = 100

/** Every engine keeps all of them: rotation far above what is written. */
const LOGGING = { driver: 'json-file', options: { 'max-size': '1g', 'max-file': '2' } }

const ROWS: readonly Row[] = [
  {
    id: 'log-write',
    title: '1,000,000 lines of 100 bytes, from `up` until the program has ended',
    unit: 's',
    goal: timesBetterThan('docker', 1),
  },
  {
    id: 'log-read',
    title: '`logs` of them',
    unit: 's',
    goal: timesBetterThan('docker', 1),
  },
  { id: 'log-lines', title: 'lines that came back', unit: '', isRate: true },
]

async function writeAndRead(engine: Engine, place: StackPlace): Promise<Record<string, number>> {
  const service = serviceOf(place, 's1')
  const startedAt = performance.now()
  await engine.sandbox.run(engine.up(place))
  await engine.waitForExit(service)
  const written = performance.now()
  const count = `${engine.logs(service).map(quote).join(' ')} 2>/dev/null | wc -l`
  const { output, wallMs } = await engine.sandbox.run(['sh', '-c', count])
  return {
    'log-write': (written - startedAt) / 1000,
    'log-read': wallMs / 1000,
    'log-lines': Number(output),
  }
}

function quote(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`
}

export const logs: Measurement = {
  id: 'logs',
  rounds: 3,
  rows: ROWS,
  measure: async (engine) => {
    const command = ['log-lines', String(LINES), String(WIDTH)]
    const logging = engine.id.startsWith('podman') ? {} : { logging: LOGGING }
    const place = placeOf(engine, { project: 'logs', services: { s1: { command, ...logging } } })
    try {
      return await writeAndRead(engine, place)
    } finally {
      await engine.sandbox.run(engine.down(place), { mayFail: true })
    }
  },
}
