/** The observables of scenarios (vocabulary: docker/compose pkg/e2e/checks.go), by what the command line shows. */
import { expect } from 'vitest'
import { eventually } from '../../eventually.ts'
import { jsonOf, type CommandLine, type Outcome } from '../command-line.ts'
import type { Expectation, Text } from './scenarios.ts'

interface Row {
  readonly ID: string
  readonly Service: string
  readonly State: string
  readonly Health: string
}

export interface Observed {
  readonly cli: CommandLine
  readonly outcome: Outcome
  /** Ids by service, as they were after the step before. */
  readonly before: ReadonlyMap<string, string>
}

async function rows(cli: CommandLine): Promise<Row[]> {
  const output = await cli.ok('ps --all --no-trunc --format json')
  return jsonOf(output) as unknown as Row[]
}

/** The ids of each service's containers, joined. */
export async function idsByService(cli: CommandLine): Promise<Map<string, string>> {
  const ids = new Map<string, string>()
  for (const { Service, ID } of await rows(cli))
    ids.set(Service, [...(ids.get(Service)?.split(' ') ?? []), ID].sort().join(' '))
  return ids
}

function isText(value: Text): value is string {
  return typeof value === 'string'
}

type Check = (args: readonly Text[], observed: Observed) => Promise<void>

const of = async ({ cli }: Observed, service: Text | undefined): Promise<Row[]> =>
  (await rows(cli)).filter(({ Service }) => Service === service)

const output = ({ outcome }: Observed): string => `${outcome.stdout}\n${outcome.stderr}`

const CHECKS: Readonly<Record<string, Check>> = {
  ExitCode: ([code], { outcome }) => {
    expect(outcome.exitCode).toBe(code)
    return Promise.resolve()
  },
  OutputContains: ([text], observed) => {
    expect(output(observed)).toContain(text)
    return Promise.resolve()
  },
  OutputNotContains: ([text], observed) => {
    expect(output(observed)).not.toContain(text)
    return Promise.resolve()
  },
  StdoutContains: ([text], { outcome }) => {
    expect(outcome.stdout).toContain(text)
    return Promise.resolve()
  },
  ImageExists: async (names, { cli }) => {
    await cli.ok(['image', 'inspect', ...names.filter(isText)])
  },
  builtOnce: (names, observed) => {
    const image = names.filter(isText).join('-')
    expect(output(observed).split(` Image ${image} Built`)).toHaveLength(2)
    return Promise.resolve()
  },
  ServiceState: async ([service, state], observed) => {
    const states = (await of(observed, service)).map(({ State }) => State)
    expect(states.length).toBeGreaterThan(0)
    expect(new Set(states)).toEqual(new Set([state]))
  },
  ServiceHealthy: async ([service], observed) => {
    expect((await of(observed, service)).map(({ Health }) => Health)).toContain('healthy')
  },
  ServiceNotCreated: async ([service], observed) => {
    expect(await of(observed, service)).toEqual([])
  },
  ServiceScale: async ([service, count], observed) => {
    expect(await of(observed, service)).toHaveLength(Number(count))
  },
  Recreated: async (services, { cli, before }) => {
    const now = await idsByService(cli)
    for (const service of services.filter(isText))
      expect(now.get(service)).not.toBe(before.get(service))
  },
  NotRecreated: async (services, { cli, before }) => {
    const now = await idsByService(cli)
    for (const service of services.filter(isText))
      expect(now.get(service)).toBe(before.get(service))
  },
  Eventually: async ([inner], observed) => {
    let failure: unknown
    await eventually('what a scenario waits for', () =>
      check(inner as Expectation, observed).then(
        () => true,
        (error: unknown) => {
          failure = error
          return false
        },
      ),
    ).catch(() => {
      throw failure
    })
  },
}

export async function check({ check: name, args }: Expectation, observed: Observed): Promise<void> {
  const known = CHECKS[name]
  if (known === undefined) throw new Error(`there is no check "${name}"`)
  await known(args, observed)
}
