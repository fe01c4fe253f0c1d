/**
 * One mutated project, loaded: the outcome must be a model or an error of ours, what is printed of either must be
 * bounded, and the time in proportion to what was read.
 */
import { formatConfig } from '../../src/spec/config-output.ts'
import { loadStack } from '../../src/spec/load-stack.ts'
import { SpecError, formatDiagnostics } from '../../src/spec/spec-error.ts'
import { TsstackError } from '../../src/errors.ts'
import { filesInMemory } from './corpus.ts'
import type { Project } from './corpus.ts'
import { mutate } from './mutate.ts'
import { createRandom } from './random.ts'

/** Of the environment: what it adds is not counted as text that was read, so it must not outweigh that. */
const BIG = 'b'.repeat(1000)
/** Of 100 diagnostics, each with lines of the file. */
const MAX_ERROR_TEXT = 1 << 20

export interface FuzzInput {
  readonly project: Project
  readonly bytes: number
}

/** The project of a number: always the same. */
export function fuzzInput(corpus: readonly Project[], number: number): FuzzInput {
  const random = createRandom(number)
  const project = random.pick(corpus)
  const files = new Map(project.files)
  const targets = random.chance(0.8) ? project.stackFiles : [...files.keys()]
  const file = random.pick(targets)
  const donor = random.pick(corpus)
  const other = donor.files.get(random.pick(donor.stackFiles)) ?? Buffer.alloc(0)
  files.set(file, mutate(files.get(file) ?? Buffer.alloc(0), { random, file, other }))
  const bytes = [...files.values()].reduce((sum, { length }) => sum + length, 0)
  const options = { ...project.options, env: { ...project.options.env, BIG } }
  return { project: { ...project, files, options }, bytes }
}

export type FuzzOutcome = 'model' | 'refused'

/** @throws {Error} anything that is no TsstackError, and errors that nobody could read */
export function loadFuzzed({ project }: FuzzInput): FuzzOutcome {
  try {
    const { stack } = loadStack({ ...project.options, fs: filesInMemory(project.files) })
    formatConfig(stack, { format: 'json' })
    return 'model'
  } catch (error) {
    if (!(error instanceof TsstackError)) throw error
    if (error instanceof SpecError) checkText(error, project)
    return 'refused'
  }
}

function checkText(error: SpecError, project: Project): void {
  const text = formatDiagnostics(error, (file) => project.files.get(file)?.toString())
  if (text.length > MAX_ERROR_TEXT) throw new Error(`an error of ${String(text.length)} characters`)
  if (text.trim() === '') throw new Error('an error without a word')
}
