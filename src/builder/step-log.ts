/** Tells of the steps of a build: `[web 2/5] RUN make`. */
import type { BuildHost } from './build-input.ts'
import type { Instruction } from './dockerfile/instruction.ts'
import type { Stage } from './dockerfile/stages.ts'
import { toTsstackError } from '../errors.ts'

export interface Step {
  readonly output: (bytes: Buffer) => void
  /** The last lines that it wrote. */
  readonly tail: () => readonly string[]
  readonly done: (isCached: boolean) => void
  readonly failed: (error: unknown) => void
}

export interface StepLog {
  readonly begin: (stage: Stage, instruction: Instruction) => Step
  /** The step of an instruction that runs. */
  readonly of: (instruction: Instruction) => Step | undefined
  /** Variables of the platform, by name. */
  readonly platform: Readonly<Record<string, string>>
}

const TAIL_LINES = 20
const MAX_LINE = 2000
const MAX_TITLE = 120

/** The others are done at once, and nobody wants to hear of them. */
const MAKES_LAYERS: ReadonlySet<Instruction['kind']> = new Set(['run', 'copy', 'workdir'])

const SILENT: Step = {
  output: () => undefined,
  tail: () => [],
  done: () => undefined,
  failed: () => undefined,
}

/** Splits what a program writes into lines. */
function createLines(take: (line: string) => void): (bytes: Buffer) => void {
  let partial = ''
  return (bytes) => {
    const lines = `${partial}${bytes.toString('utf8')}`.split(/\r?\n|\r/)
    partial = (lines.pop() ?? '').slice(-MAX_LINE)
    for (const line of lines) take(line.slice(0, MAX_LINE))
  }
}

function titleOf({ text }: Instruction): string {
  const line = text.replaceAll(/\s+/g, ' ')
  return line.length <= MAX_TITLE ? line : `${line.slice(0, MAX_TITLE - 1)}…`
}

export function createStepLog(
  { onStep }: Pick<BuildHost, 'onStep'>,
  platform: Readonly<Record<string, string>>,
): StepLog {
  const running = new Map<Instruction, Step>()
  let next = 0

  function begin(stage: Stage, instruction: Instruction): Step {
    if (!MAKES_LAYERS.has(instruction.kind)) return SILENT
    const id = next++
    const shown = stage.instructions.filter(({ kind }) => MAKES_LAYERS.has(kind))
    const count = `${String(shown.indexOf(instruction) + 1)}/${String(shown.length)}`
    const stageName = stage.name ?? `stage-${String(stage.index)}`
    const name = `[${stageName} ${count}] ${titleOf(instruction)}`
    const startedAt = performance.now()
    const tail: string[] = []
    const take = (line: string): void => {
      tail.push(line)
      if (tail.length > TAIL_LINES) tail.shift()
      onStep({ id, name, status: 'output', line })
    }
    const output = createLines(take)
    const end = (status: 'done' | 'cached' | 'failed', line?: string): void => {
      running.delete(instruction)
      const elapsedMs = performance.now() - startedAt
      onStep({ id, name, status, elapsedMs, ...(line === undefined ? {} : { line }) })
    }
    const step: Step = {
      output,
      tail: () => tail,
      done: (isCached) => {
        end(isCached ? 'cached' : 'done')
      },
      failed: (error) => {
        end('failed', toTsstackError(error).message.split('\n')[0])
      },
    }
    running.set(instruction, step)
    onStep({ id, name, status: 'started' })
    return step
  }

  return { begin, of: (instruction) => running.get(instruction), platform }
}
