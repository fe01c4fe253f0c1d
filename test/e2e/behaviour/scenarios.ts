/** End-to-end scenarios of Docker Compose as data (beside the repository: ../shared/conformance/behaviour). */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'

const FOLDER = path.join(import.meta.dirname, '../../../../shared/conformance/behaviour')
const FILE = path.join(FOLDER, 'scenarios.json')

/** A text, or what could not be written down as data. */
export type Text = string | number | { readonly expr: string } | Expectation

export interface Expectation {
  readonly check: string
  readonly args: readonly Text[]
}

export interface Step {
  readonly do: {
    readonly compose?: readonly Text[]
    readonly docker?: readonly Text[]
    readonly env?: readonly string[]
    readonly may_fail?: boolean
    /** What is typed. */
    readonly stdin?: readonly string[]
  }
  readonly expect?: readonly Expectation[]
}

export interface Scenario {
  readonly test: string
  readonly intent: string
  readonly project?: string
  readonly env?: readonly string[] | null
  readonly images?: readonly string[]
  readonly needs?: readonly string[]
  readonly steps: readonly Step[]
}

export const isThere = existsSync(FILE)

/** What scenarios may need beside an engine, and have here; not Docker Hub, the docker program or its plugins. */
const SERVED: readonly string[] = ['build', 'bridge', 'models', 'publish']

/** Those that can run here. */
export function servedScenarios(): Scenario[] {
  if (!isThere) return []
  const all = JSON.parse(readFileSync(FILE, 'utf8')) as Scenario[] | { scenarios: Scenario[] }
  const scenarios = Array.isArray(all) ? all : all.scenarios
  return scenarios.filter(({ needs = [] }) => needs.every((need) => SERVED.includes(need)))
}

export function projectFolder({ project, test }: Scenario): string {
  return path.join(FOLDER, project ?? path.join('projects', test))
}

/** Whether every word of it is data. */
export function isData(scenario: Scenario): boolean {
  return !JSON.stringify(scenario.steps).includes('"expr"')
}
