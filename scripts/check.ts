/**
 * Runs scripts of package.json, as many at once as there are processors, in the order given (so the longest comes
 * first). What a script prints is shown whole when it has ended. Fails when one of them does, after all have ended.
 *
 *   node scripts/check.ts lint typecheck format:check
 */
import { execa } from 'execa'
import { availableParallelism } from 'node:os'

const queue = process.argv.slice(2)
const failed: string[] = []

async function runQueue(): Promise<void> {
  for (let script = queue.shift(); script !== undefined; script = queue.shift()) {
    const { all, exitCode, durationMs } = await execa('npm', ['run', '--silent', script], {
      all: true,
      reject: false,
      stdin: 'ignore',
    })
    if (exitCode !== 0) failed.push(script)
    const seconds = (durationMs / 1000).toFixed(1)
    process.stdout.write(`${exitCode === 0 ? 'ok' : 'FAILED'} ${script} (${seconds} s)\n`)
    if (all !== '') process.stdout.write(`${all}\n`)
  }
}

await Promise.all(Array.from({ length: availableParallelism() }, runQueue))
if (failed.length > 0) process.stdout.write(`error: ${failed.join(', ')} failed\n`)
process.exitCode = failed.length > 0 ? 1 : 0
