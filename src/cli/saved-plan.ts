/**
 * A plan as a file: what `plan --out` writes and `up --plan` reads. It holds the whole request, contents of configs and
 * secrets included, so only its owner may read it.
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { PlanResponse, UpRequest } from '../api/types.ts'
import { TsstackError } from '../errors.ts'
import type { LoadedStack } from '../spec/loaded-stack.ts'
import type { FieldChange, Operation, Plan } from '../planner/plan.ts'

/** Grows in its second part when something is added, in its first when something changes its meaning or goes. */
const FORMAT_VERSION = '1.0'
const READABLE = /^1\.\d+$/
const MAX_FILE_BYTES = 128 << 20

/** What `plan --json` prints: docs/plan.schema.json. */
export interface PlanDocument extends Plan {
  readonly formatVersion: string
  readonly base: string
}

interface SavedPlan extends PlanDocument {
  readonly request: UpRequest
}

export function planDocument({ plan, base }: Pick<PlanResponse, 'plan' | 'base'>): PlanDocument {
  return { formatVersion: FORMAT_VERSION, base, ...plan }
}

/** @throws {INVALID_ARGUMENT} when the file can't be written */
export function writePlan(file: string, document: PlanDocument, request: UpRequest): void {
  const { credentials, ...kept } = request
  const saved: SavedPlan = { ...document, request: kept }
  try {
    writeFileSync(file, `${JSON.stringify(saved, null, 2)}\n`, { mode: 0o600 })
  } catch (error) {
    throw new TsstackError('INVALID_ARGUMENT', `Cannot write plan "${file}"`, { cause: error })
  }
}

/**
 * What has to be asked for so that exactly this plan is applied, or nothing.
 * @throws {INVALID_ARGUMENT} for a file that is no plan of a format that is known
 */
export function readPlan(file: string): UpRequest {
  const { formatVersion, base, request } = parsePlan(file)
  if (typeof formatVersion !== 'string' || !READABLE.test(formatVersion))
    throw new TsstackError(
      'INVALID_ARGUMENT',
      typeof formatVersion === 'string'
        ? `Cannot use plan "${file}": its format is "${formatVersion}", this version reads ${FORMAT_VERSION}`
        : `Cannot use plan "${file}": it is not one that "plan --out" has saved`,
    )
  if (request === undefined || base === undefined)
    throw new TsstackError('INVALID_ARGUMENT', `Cannot use plan "${file}": it is not complete`, {
      hint: 'Save it with "tsstack plan --out FILE"; what --json prints is not enough',
    })
  return { ...request, base }
}

function parsePlan(file: string): Partial<SavedPlan> {
  try {
    if (statSync(file).size > MAX_FILE_BYTES) throw new RangeError('it is too large')
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (typeof parsed === 'object' && parsed !== null) return parsed
    throw new TypeError('it is no JSON object')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new TsstackError('INVALID_ARGUMENT', `Cannot read plan "${file}": ${why}`, {
      cause: error,
    })
  }
}

/** An argument of `up` that is a file and no service: `plan.json`, `./plan`. */
export function looksLikePlan(argument: string | undefined): argument is string {
  if (argument === undefined || !(argument.includes('/') || path.extname(argument) === '.json'))
    return false
  return statSync(argument, { throwIfNoEntry: false })?.isFile() === true
}

/** The plan with the place in the stack files of each value that changes. */
export function withPositions(
  plan: Plan,
  { locate, stack }: Pick<LoadedStack, 'locate' | 'stack'>,
): Plan {
  const located = (resource: readonly string[], change: FieldChange): FieldChange => {
    if (change.after === undefined) return change
    const attribute = change.field.replace(/\.digest$/, '').split('.')
    const position = locate([...resource, ...attribute])
    return position === undefined ? change : { ...change, position }
  }
  const networkKeys = new Map(
    Object.entries(stack.networks).map(([key, { name }]) => [name, key] as const),
  )
  const operations = plan.operations.map((operation): Operation => {
    if (!('changes' in operation)) return operation
    const resource =
      operation.kind === 'create-network'
        ? ['networks', networkKeys.get(operation.network) ?? operation.network]
        : ['services', operation.service]
    const changes = operation.changes.map((change) => located(resource, change))
    return { ...operation, changes }
  })
  return { ...plan, operations }
}
