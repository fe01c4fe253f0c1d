/** The kernel's own price of a container: probes/floor.c, in a sandbox of its own. */
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import type { EngineSetup } from './engines/engine.ts'
import { Sandbox } from './sandbox.ts'
import { quantile } from './statistics.ts'

const CONTAINERS = 20
const CONTROLLERS = ['memory', 'pids', 'cpu']

/** One round. @returns the median milliseconds of a container's boot */
export async function measureFloor({ probes, image, top, work }: EngineSetup): Promise<number> {
  const sandbox = new Sandbox({
    name: 'tsstack-bench-floor',
    probes,
    work: top,
    containerCgroups: ['tsstack-floor'],
  })
  await sandbox.open()
  try {
    const uppers = path.join(work, 'uppers')
    mkdirSync(uppers, { recursive: true })
    const { output } = await sandbox.run([
      probes.floor,
      image.tree,
      uppers,
      String(CONTAINERS),
      ...CONTROLLERS,
    ])
    // The last line is what giving all of it back took.
    const boots = output.trim().split('\n').map(Number).slice(0, -1)
    return quantile(boots, 0.5) / 1e6
  } finally {
    await sandbox.close()
  }
}
