/**
 * Random commands of many clients at once, for as long as wanted: the daemon's memory, descriptors and threads do not
 * grow, and nothing is left in the kernel.
 *
 *   npm run test:soak                                                                    an hour, 20 clients
 *   TSSTACK_SOAK_SECONDS=600 TSSTACK_SOAK_SEED=7 vitest run --project e2e test/e2e/soak.test.ts
 */
import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'
import { createRandom } from './chaos/random.ts'
import { performCommand, removeStacks } from './soak/commands.ts'
import { leastResident, processUsage, type ProcessUsage } from './soak/process-usage.ts'

const SECONDS = Number(process.env['TSSTACK_SOAK_SECONDS'] ?? 15)
const CLIENTS = Number(process.env['TSSTACK_SOAK_CLIENTS'] ?? 6)
const SEED = Number(process.env['TSSTACK_SOAK_SEED'] ?? 1)
const SAMPLE_MS = 500
/** A heap of V8 settles in minutes; a short run can only tell a gross leak. */
const IS_LONG = SECONDS >= 600
const GROWTH = IS_LONG ? 1.15 : 1.6
/** Descriptors that come and go with a timer or a connection that is just being closed. */
const DESCRIPTOR_SLACK = 4

async function client(daemon: DaemonFixture, seed: number, end: number): Promise<string[]> {
  const random = createRandom(seed)
  const done: string[] = []
  while (performance.now() < end) done.push(await performCommand(daemon, random))
  return done
}

async function sample(daemon: DaemonFixture, end: number): Promise<ProcessUsage[]> {
  const samples: ProcessUsage[] = []
  while (performance.now() < end) {
    samples.push(processUsage(daemon.pid))
    await setTimeout(SAMPLE_MS)
  }
  return samples
}

test(
  `soak: ${String(CLIENTS)} clients for ${String(SECONDS)} s leave the daemon as it was`,
  { timeout: (SECONDS + 240) * 1000 },
  async () => {
    const daemon = await startDaemonFixture()
    try {
      // Whatever is opened once and kept is open after this.
      await client(daemon, SEED, performance.now() + 3000)
      await removeStacks(daemon)
      const before = processUsage(daemon.pid)
      const end = performance.now() + SECONDS * 1000
      const seeds = Array.from({ length: CLIENTS }, (_, index) => SEED * 1000 + index)
      const [samples, ...commands] = await Promise.all([
        sample(daemon, end),
        ...seeds.map((seed) => client(daemon, seed, end)),
      ])
      await removeStacks(daemon)
      const after = await eventually(
        'descriptors that were opened to be closed',
        () => {
          const now = processUsage(daemon.pid)
          return now.descriptors <= before.descriptors + DESCRIPTOR_SLACK ? now : false
        },
        30_000,
      ).catch((error: unknown) => {
        throw new Error(JSON.stringify({ before, now: processUsage(daemon.pid) }), { cause: error })
      })
      const early = leastResident(samples, 0.1, 0.4)
      const late = leastResident(samples, 0.7, 1)
      const figures = { commands: commands.flat().length, before, after, early, late }
      process.stdout.write(`soak: ${JSON.stringify(figures)}\n`)
      expect(after.threads, JSON.stringify(figures)).toBeLessThanOrEqual(before.threads)
      expect(late, JSON.stringify(figures)).toBeLessThan(early * GROWTH)
      await daemon.close()
    } catch (error) {
      const log = daemon.log().slice(-4000)
      await daemon.close().catch(() => undefined) // what it leaves says less than the first failure
      throw new Error(`seed ${String(SEED)}: ${String(error)}\n${log}`, { cause: error })
    }
  },
)
