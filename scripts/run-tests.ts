/**
 * `npm test`: the unit tests everywhere; the root and end-to-end tests where they can run (root, and a kernel with what
 * the engine stands on). What is not run is printed with its reason. With TSSTACK_REQUIRE_ROOT=1 nothing may be left
 * out: a project that can't run, or a single test that was skipped (but for those whose names have one of REASONS), is a
 * failure.
 *
 * Arguments go to vitest, and choose among the tests: `npm test -- test/cli`.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const NODE_MAJOR = 24
const required = process.env['TSSTACK_REQUIRE_ROOT'] === '1'

type Project = 'unit' | 'root' | 'e2e'

/** Why tests of the real kernel can't run here; empty when they can. */
function missingForRoot(): readonly string[] {
  const missing: string[] = []
  if (process.platform !== 'linux') return [`the engine is Linux's, this is ${process.platform}`]
  if (process.getuid?.() !== 0) missing.push('root is needed (namespaces, mounts, cgroups)')
  for (const kind of ['user', 'pid', 'net', 'mnt', 'uts', 'ipc', 'cgroup']) {
    if (!existsSync(`/proc/self/ns/${kind}`)) missing.push(`the kernel lacks ${kind} namespaces`)
  }
  const filesystems = readFileSync('/proc/filesystems', 'utf8')
  if (!/\boverlay\b/.test(filesystems)) missing.push('overlayfs is not there (modprobe overlay)')
  if (!existsSync('/sys/fs/cgroup'))
    missing.push('no cgroup file system is mounted on /sys/fs/cgroup')
  return missing
}

interface TestResult {
  readonly name: string
  readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[]
}

interface Outcome {
  readonly ok: boolean
  readonly ran: number
  readonly skipped: readonly string[]
}

/**
 * Reasons in the names of tests that can't run everywhere: of data that lies beside the repository where it is developed,
 * and of a service manager (`npm run test:vm` has it).
 */
const REASONS = ['../shared/', 'skipped: this host has no systemd']

/** Runs one project; its results are read back from vitest's own report. */
function runProject(project: Project, args: readonly string[]): Outcome {
  const directory = mkdtempSync(join(tmpdir(), 'tsstack-tests-'))
  const report = join(directory, 'report.json')
  try {
    const { status } = spawnSync(
      process.execPath,
      [
        join(ROOT, 'node_modules/vitest/vitest.mjs'),
        'run',
        ...['--project', project],
        ...['--reporter', 'default', '--reporter', 'json', '--outputFile.json', report],
        '--passWithNoTests',
        ...args,
      ],
      { cwd: ROOT, stdio: 'inherit' },
    )
    if (!existsSync(report)) return { ok: false, ran: 0, skipped: [] }
    const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as {
      testResults: readonly TestResult[]
    }
    const tests = testResults.flatMap((file) =>
      file.assertionResults.map((test) => ({ ...test, file: file.name })),
    )
    const skipped = tests.filter((test) => ['skipped', 'pending', 'todo'].includes(test.status))
    return {
      ok: status === 0,
      ran: tests.length - skipped.length,
      skipped: skipped.map((test) => `${test.file.replace(`${ROOT}/`, '')}: ${test.fullName}`),
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

function checkNode(): boolean {
  const [major] = process.versions.node.split('.')
  if (Number(major) === NODE_MAJOR) return true
  say(`error: tests run on Node ${String(NODE_MAJOR)}, this is ${process.versions.node}`)
  say('hint: start them with "npm test", which puts node_modules/.bin first')
  return false
}

/** @returns whether all is well */
function runAll(args: readonly string[]): boolean {
  if (!checkNode()) return false
  const missing = missingForRoot()
  const projects: readonly Project[] = missing.length === 0 ? ['unit', 'root', 'e2e'] : ['unit']
  const outcomes = projects.map((project) => ({ project, ...runProject(project, args) }))
  say('')
  let well = true
  for (const { project, ok, ran, skipped } of outcomes) {
    say(
      `${project}: ${ok ? 'ok' : 'FAILED'}, ${String(ran)} run, ${String(skipped.length)} skipped`,
    )
    for (const test of skipped) say(`  skipped: ${test}`)
    well &&=
      ok && !(required && skipped.some((test) => !REASONS.some((reason) => test.includes(reason))))
  }
  for (const project of ['root', 'e2e'] as const) {
    if (projects.includes(project)) continue
    say(`${project}: not run`)
    for (const reason of missing) say(`  because: ${reason}`)
    well &&= !required
  }
  if (outcomes.every(({ ran }) => ran === 0)) {
    say('error: not one test was run')
    return false
  }
  if (required && !well) say('error: TSSTACK_REQUIRE_ROOT=1 allows no failure and nothing left out')
  return well
}

process.exitCode = runAll(process.argv.slice(2)) ? 0 : 1
