/**
 * How long a saved file takes into a running container, by the real `tsstack watch`: from the end of the write to the
 * moment at which the container's own file tree has it.
 *
 *   node bench/watch.ts [SAVES]
 *
 * Prints the median and the 95th percentile of single saves, and the time of a thousand files written at once. Needs root.
 */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { execa } from 'execa'
import { startDaemonFixture, type DaemonFixture } from '../test/daemon-fixture.ts'
import { eventually } from '../test/eventually.ts'
import { quantile } from './statistics.ts'

const FILES = 1000
/** Bursts of an editor's saves must not run into each other. */
const PAUSE_MS = 150
const STACK = `name: bench-watch
services:
  web:
    image: host:sleep
    command: [sleep, infinity]
    init: true
    develop: { watch: [{ path: ./src, action: sync, target: /app }] }
`

const daemon = await startDaemonFixture()
try {
  await measure(daemon, Number(process.argv[2] ?? 50))
} finally {
  await daemon.close()
}

async function measure(fixture: DaemonFixture, saves: number): Promise<void> {
  const project = path.join(fixture.scratch, 'project')
  mkdirSync(path.join(project, 'src'), { recursive: true })
  writeFileSync(path.join(project, 'stack.yaml'), STACK)
  const env = { TSSTACK_RUN_DIR: fixture.runDir, TSSTACK_STATE_DIR: fixture.stateDir }
  const program = path.join(import.meta.dirname, '../tsstack')
  const watch = execa(program, ['watch'], { cwd: project, env, all: true, reject: false })
  try {
    let output = ''
    watch.all.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    await eventually('the watch', () => output.includes('Watch enabled'))
    const pid = await eventually(
      'the container',
      async () => (await fixture.client.containers({ stack: 'bench-watch' }))[0]?.pid,
    )
    const inContainer = (name: string): string => `/proc/${String(pid)}/root/app/${name}`
    const saved = (name: string): string => path.join(project, 'src', name)

    const times: number[] = []
    for (let save = 0; save < saves; save++) {
      const content = `save ${String(save)}`
      writeFileSync(saved('a.js'), content)
      const start = performance.now()
      while (readIfThere(inContainer('a.js')) !== content) await setImmediate()
      times.push(performance.now() - start)
      await setTimeout(PAUSE_MS)
    }
    const start = performance.now()
    const names = Array.from({ length: FILES }, (_, index) => `f${String(index)}`)
    for (const name of names) writeFileSync(saved(name), name)
    const written = performance.now()
    for (const name of names)
      while (statSync(inContainer(name), { throwIfNoEntry: false }) === undefined)
        await setTimeout(5)
    const [p50, p95] = [quantile(times, 0.5), quantile(times, 0.95)]
    process.stdout.write(
      `save to visible: p50 ${p50.toFixed(1)} ms, p95 ${p95.toFixed(1)} ms (${String(saves)} saves)\n` +
        `${String(FILES)} new files: ${(written - start).toFixed(0)} ms to write them, ` +
        `${(performance.now() - written).toFixed(0)} ms more until all are visible\n`,
    )
  } finally {
    watch.kill('SIGINT')
    await watch
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
