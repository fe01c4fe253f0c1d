/** The end-to-end scenarios of Docker Compose that can run here: tsstack behaves the same. */
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { check, idsByService } from './behaviour/checks.ts'
import { BUSYBOX, loadImages } from './behaviour/images.ts'
import {
  isData,
  isThere,
  servedScenarios,
  projectFolder,
  type Scenario,
  type Text,
} from './behaviour/scenarios.ts'
import { commandLine, type CommandLine } from './command-line.ts'

/** What is different, and why (docs/compose-support.md). */
const DIFFERENT: Readonly<Record<string, string>> = {
  TestComposeModel: 'models are programs of Docker',
}

/** What the scenarios' own code writes into Docker's config.json, which their data leaves out. */
const DOCKER_CONFIG: Readonly<Record<string, object>> = {
  TestPsHonorsPsFormat: { psFormat: 'table {{.Name}}' },
}

const reasonNotToRun = !isThere
  ? 'skipped: ../shared/conformance is not there'
  : !existsSync(BUSYBOX)
    ? 'skipped: busybox-static is not installed'
    : undefined

let daemon: DaemonFixture

function fill(text: Text, { project, directory }: { project: string; directory: string }): string {
  const words = typeof text === 'object' ? '' : String(text)
  return words.replaceAll('${PROJECT}', project).replaceAll('${DIR}', directory)
}

function variables(
  list: readonly string[] | null | undefined,
  place: Parameters<typeof fill>[1],
): Record<string, string> {
  return Object.fromEntries(
    (list ?? []).map((pair) => {
      const [name = '', value = ''] = fill(pair, place).split(/=(.*)/s)
      return [name, value]
    }),
  )
}

async function play(scenario: Scenario): Promise<void> {
  const project = scenario.test.toLowerCase()
  const directory = path.join(daemon.scratch, project)
  mkdirSync(directory)
  cpSync(projectFolder(scenario), directory, { recursive: true })
  const place = { project, directory }
  const global = ['-f', path.join(directory, 'compose.yaml'), '--project-name', project]
  const cli = prefixed(commandLine(daemon, directory), global)
  const config = path.join(directory, '.docker')
  mkdirSync(config)
  writeFileSync(
    path.join(config, 'config.json'),
    JSON.stringify(DOCKER_CONFIG[scenario.test] ?? {}),
  )
  const common = { ...variables(scenario.env, place), DOCKER_CONFIG: config }
  await cli.run('down --volumes --remove-orphans --timeout 0', { env: common })
  try {
    for (const step of scenario.steps) {
      const before = await idsByService(cli)
      const words = (step.do.compose ?? []).map((word) => fill(word, place))
      const env = { ...common, ...variables(step.do.env, place) }
      const input = step.do.stdin?.join('')
      const outcome = await cli.run(words, { env, ...(input === undefined ? {} : { input }) })
      if (step.do.may_fail !== true && outcome.exitCode !== 0)
        throw new Error(
          `exit code ${String(outcome.exitCode)} of ${words.join(' ')}\n${outcome.stdout}\n${outcome.stderr}`,
        )
      for (const { check: name, args } of step.expect ?? []) {
        const filled = args.map((text) => (typeof text === 'string' ? fill(text, place) : text))
        await check({ check: name, args: filled }, { cli, outcome, before })
      }
    }
  } finally {
    await cli.run('down --volumes --remove-orphans --timeout 0', { env: common })
  }
}

function prefixed(cli: CommandLine, global: readonly string[]): CommandLine {
  const words = (given: string | readonly string[]): string[] => [
    ...global,
    ...(typeof given === 'string' ? given.split(' ') : given),
  ]
  return {
    ...cli,
    run: (given, options) => cli.run(words(given), options),
    ok: (given, options) => cli.ok(words(given), options),
  }
}

describe.skipIf(reasonNotToRun !== undefined)(
  `scenarios of Docker Compose${reasonNotToRun === undefined ? '' : ` (${reasonNotToRun})`}`,
  () => {
    beforeAll(async () => {
      daemon = await startDaemonFixture()
      await loadImages(commandLine(daemon, daemon.scratch), daemon.scratch)
    })
    afterAll(async () => {
      await daemon.close()
    })
    const scenarios = servedScenarios().filter(
      (scenario) => isData(scenario) && !Object.hasOwn(DIFFERENT, scenario.test),
    )
    test.each(scenarios.map((scenario) => [scenario.test, scenario.intent, scenario] as const))(
      '%s: %s',
      async (_, __, scenario) => {
        await play(scenario)
      },
    )
  },
)
