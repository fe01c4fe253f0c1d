/** The Compose conformance cases (beside the repository): all of them pass, at level strict. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const RUNNER = join(import.meta.dirname, '..', '..', '..', 'shared', 'conformance', 'run.mjs')
const ADAPTER = join(import.meta.dirname, 'adapter.ts')
/** Checks of the development set; it only grows. */
const LEAST_CHECKS = 744

interface CheckResult {
  readonly id: string
  readonly check: string
  readonly pass: boolean
  readonly detail: unknown
}

const isThere = existsSync(RUNNER)

test.skipIf(!isThere)(
  `loadStack() gives the reference's model in every conformance case${isThere ? '' : ' (skipped: ../shared/conformance is not there)'}`,
  { timeout: 120_000 },
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'tsstack-conformance-'))
    try {
      const report = join(directory, 'report.json')
      const flags = [
        RUNNER,
        '--adapter',
        ADAPTER,
        '--level',
        'strict',
        '--out',
        report,
        '--show',
        '0',
      ]
      const run = spawnSync(process.execPath, flags, { encoding: 'utf8' })
      expect(run.stderr).toBe('')
      const results = JSON.parse(readFileSync(report, 'utf8')) as CheckResult[]
      expect(results.filter(({ pass }) => !pass)).toEqual([])
      expect(results.length).toBeGreaterThanOrEqual(LEAST_CHECKS)
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  },
)
