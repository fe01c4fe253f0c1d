/**
 * Random changes, random blows: whatever a daemon goes through, it comes to what was wanted and leaves nothing behind.
 *
 *   TSSTACK_CHAOS_STEPS=200 TSSTACK_CHAOS_SEED=7 vitest run --project e2e test/e2e/chaos.test.ts
 *
 * The steps follow from the seed; a failure prints it and what was done.
 */
import { expect, test } from 'vitest'
import { startDaemonFixture } from '../daemon-fixture.ts'
import { assertConsistent, settle } from './chaos/invariants.ts'
import { createRandom } from './chaos/random.ts'
import { chooseStep, performStep, STACKS, type Step, type Wanted } from './chaos/steps.ts'

const STEPS = Number(process.env['TSSTACK_CHAOS_STEPS'] ?? 25)
const SEED = Number(process.env['TSSTACK_CHAOS_SEED'] ?? 1)
const STEPS_BETWEEN_PAUSES = 5
const MS_PER_STEP = 15_000

test(
  `chaos: ${String(STEPS)} steps of seed ${String(SEED)} end as wanted and leave nothing`,
  { timeout: 60_000 + STEPS * MS_PER_STEP },
  async () => {
    const random = createRandom(SEED)
    const daemon = await startDaemonFixture()
    const wanted: Wanted = new Map()
    const done: Step[] = []
    try {
      for (let index = 1; index <= STEPS; index++) {
        const step = chooseStep(random)
        done.push(step)
        await performStep(daemon, step, wanted)
        if (index % STEPS_BETWEEN_PAUSES !== 0) continue
        await settle(daemon, wanted)
        await assertConsistent(daemon)
      }
      for (const stack of STACKS) await daemon.down(stack, { volumes: true, removeOrphans: true })
      await daemon.close()
    } catch (error) {
      const steps = done.map((step, index) => `${String(index + 1)} ${JSON.stringify(step)}`)
      const log = daemon.log().slice(-4000)
      await daemon.close().catch(() => undefined)
      throw new Error(
        `seed ${String(SEED)}, step ${String(done.length)}: ${String(error)}\n${steps.slice(-8).join('\n')}\n${log}`,
        { cause: error },
      )
    }
    expect(done).toHaveLength(STEPS)
  },
)
