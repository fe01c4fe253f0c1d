/** Names and bytes between containers, and through a published port. */
import type { Engine, StackPlace } from '../engines/engine.ts'
import { quantile } from '../statistics.ts'
import {
  serviceOf,
  timesBetterThan,
  withStack,
  type Measurement,
  type Values,
} from './measurement.ts'

const LOOKUPS = 2000
const SECONDS = 3
const PORT = 5201
const PUBLISHED = 15201

async function dnsLatency(engine: Engine, place: StackPlace): Promise<number> {
  const command = ['dns-latency', 'server', String(LOOKUPS)]
  const { output } = await engine.sandbox.run(engine.exec(serviceOf(place, 'client'), command))
  return quantile(output.trim().split('\n').map(Number), 0.5)
}

function gigabits(output: string): number {
  const { end } = JSON.parse(output) as { end: { sum_received: { bits_per_second: number } } }
  return end.sum_received.bits_per_second / 1e9
}

async function throughput(engine: Engine, place: StackPlace): Promise<Values> {
  const words = (host: string, port: number): string[] => [
    'iperf3',
    '-J',
    '-t',
    String(SECONDS),
    '-c',
    host,
    '-p',
    String(port),
  ]
  const client = serviceOf(place, 'client')
  const inside = await engine.sandbox.run(engine.exec(client, words('server', PORT)))
  // The host's own program would be another version in each tree.
  const fromHost = [...engine.iperf, ...words('127.0.0.1', PUBLISHED).slice(1)]
  const outside = await engine.sandbox.run(fromHost)
  return { 'tcp-bridge': gigabits(inside.output), 'tcp-port': gigabits(outside.output) }
}

export const network: Measurement = {
  id: 'network',
  rounds: 3,
  rows: [
    {
      id: 'dns',
      title: 'DNS lookup of a service, median',
      unit: 'µs',
      goal: timesBetterThan('docker', 1),
    },
    {
      id: 'tcp-bridge',
      title: 'TCP, container to container',
      unit: 'Gbit/s',
      isRate: true,
      goal: timesBetterThan('docker', 1, true),
    },
    {
      id: 'tcp-port',
      title: 'TCP, host to published port on 127.0.0.1',
      unit: 'Gbit/s',
      isRate: true,
      goal: timesBetterThan('docker', 1, true),
    },
  ],
  measure: async (engine) => {
    const services = {
      server: {
        command: ['iperf3', '-s'],
        ports: [`127.0.0.1:${String(PUBLISHED)}:${String(PORT)}`],
      },
      client: { command: ['sleep', 'infinity'] },
    }
    return withStack(engine, { project: 'network', services }, async (place) => ({
      dns: await dnsLatency(engine, place),
      ...(await throughput(engine, place)),
    }))
  },
}
