/**
 * Random changes, random blows: whatever a daemon goes through, it comes to what was wanted, loses no data of volumes,
 * leaves nothing behind, and has told of each. Its state is on a small disk, which is full at times.
 *
 *   TSSTACK_CHAOS_STEPS=200 TSSTACK_CHAOS_SEED=7 vitest run --project e2e test/e2e/chaos.test.ts
 *   TSSTACK_CHAOS_SECONDS=1800 npm run test:chaos
 *
 * The steps follow from the seed; a failure prints it and what was done.
 */
import path from 'node:path'
import { expect, test } from 'vitest'
import { startDaemonFixture } from '../daemon-fixture.ts'
import { Accounts } from './chaos/accounts.ts'
import { assertConsistent, settle } from './chaos/invariants.ts'
import { createRandom } from './chaos/random.ts'
import { openSmallDisk } from './chaos/small-disk.ts'
import { chooseStep, performStep, type Step, type Wanted } from './chaos/steps.ts'
import { STACKS } from './chaos/variants.ts'
import { checkMarks, forgetRemoved, type VolumeMarks } from './chaos/volume-marks.ts'

const SECONDS = Number(process.env['TSSTACK_CHAOS_SECONDS'] ?? Infinity)
const STEPS = Number(process.env['TSSTACK_CHAOS_STEPS'] ?? (SECONDS === Infinity ? 25 : Infinity))
const SEED = Number(process.env['TSSTACK_CHAOS_SEED'] ?? 1)
const STEPS_BETWEEN_PAUSES = 5
const MS_PER_STEP = 15_000
const DISK_BYTES = 256 << 20
const LENGTH = STEPS === Infinity ? `${String(SECONDS)} s` : `${String(STEPS)} steps`

test(
  `chaos: ${LENGTH} of seed ${String(SEED)} end as wanted and leave nothing`,
  { timeout: 120_000 + Math.min(STEPS * MS_PER_STEP, SECONDS * 1000) },
  async () => {
    const random = createRandom(SEED)
    const disk = openSmallDisk(DISK_BYTES)
    const daemon = await startDaemonFixture({
      stateDir: path.join(disk.directory, 'state'),
      environment: { TSSTACK_RECONCILE_INTERVAL: '1' },
    })
    const deadline = performance.now() + SECONDS * 1000
    const marks: VolumeMarks = new Set()
    const wanted: Wanted = new Map()
    const accounts = new Accounts(daemon)
    const done: Step[] = []
    try {
      for (let index = 1; index <= STEPS && performance.now() < deadline; index++) {
        const step = chooseStep(random)
        done.push(step)
        forgetRemoved(daemon, marks, step)
        await performStep(daemon, step, { wanted, accounts })
        if (index % STEPS_BETWEEN_PAUSES !== 0) continue
        await settle(daemon, wanted)
        await assertConsistent(daemon)
        checkMarks(daemon, marks, wanted.keys())
        await accounts.settle()
      }
      for (const stack of STACKS) await daemon.down(stack, { volumes: true, removeOrphans: true })
      await accounts.settle()
      await daemon.close()
    } catch (error) {
      const steps = done.map((step, index) => `${String(index + 1)} ${JSON.stringify(step)}`)
      const log = daemon.log().slice(-4000)
      await daemon.close().catch(() => undefined)
      throw new Error(
        `seed ${String(SEED)}, step ${String(done.length)}: ${String(error)}\n${steps.slice(-8).join('\n')}\n${log}`,
        { cause: error },
      )
    } finally {
      disk.close()
    }
    expect(done.length).toBeGreaterThan(0)
  },
)
