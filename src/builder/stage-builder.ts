/** Builds one stage: its instructions in order, each on what those before it have made. */
import { TsstackError, toTsstackError } from '../errors.ts'
import type { Instruction } from './dockerfile/instruction.ts'
import { parseTrigger } from './dockerfile/parse-dockerfile.ts'
import { dockerfileError, type Place } from './dockerfile/place.ts'
import { readInstruction } from './dockerfile/read-instruction.ts'
import { expandAt, valueIn, type Stage } from './dockerfile/stages.ts'
import { copyStep } from './copy-instruction.ts'
import type { Build, StageBuild } from './layer-step.ts'
import { applyMetadata } from './metadata-step.ts'
import { PROXY_ARGUMENTS } from './platform-arguments.ts'
import { runStep } from './run-instruction.ts'
import { change, type StageState } from './stage-state.ts'
import { workdirStep } from './workdir-step.ts'

/** @returns whether all that it made was known already */
async function applyInstruction(stage: StageBuild, instruction: Instruction): Promise<boolean> {
  const { state } = stage
  if (instruction.kind === 'run') return runStep(stage, instruction)
  if (instruction.kind === 'copy') return copyStep(stage, instruction)
  if (instruction.kind === 'workdir') return workdirStep(stage, instruction)
  if (instruction.kind === 'arg') applyArg(stage, instruction)
  else applyMetadata(instruction, stage)
  const { created } = state
  state.history.push({ created, createdBy: instruction.text, isEmpty: true })
  return true
}

function applyArg(stage: StageBuild, instruction: Instruction & { readonly kind: 'arg' }): void {
  const { build, state, expand } = stage
  const { input, dockerfile } = build
  for (const [name, value] of instruction.names) {
    const given = valueIn(name, input.args, build.log.platform)
    const fallback = value === undefined ? valueIn(name, dockerfile.globalArguments) : undefined
    const text = value === undefined ? undefined : expand(value, instruction.place)
    const result = given ?? text ?? fallback
    if (result !== undefined) state.args[name] = result
  }
}

/** ENV wins over ARG of the same name. */
function scopeOf(build: Build, stage: Stage, state: StageState): StageBuild {
  const { escape } = build.dockerfile
  const lookup = (name: string): string | undefined =>
    valueIn(name, state.config.env, state.args) ?? predefined(build, name)
  const expand = (word: string, place: Place): string => expandAt(word, place, { escape, lookup })
  const { input } = build
  const isFresh = input.noCacheFilter.some(
    (name) => name.toLowerCase() === stage.name || name === String(stage.index),
  )
  return { build, stage, state, escape, expand, isCached: !input.noCache && !isFresh }
}

function predefined({ input }: Build, name: string): string | undefined {
  return PROXY_ARGUMENTS.has(name) ? input.args[name] : undefined
}

/** What the base image wants to be done first, and only once. */
function takeTriggers({ state, stage, escape }: StageBuild): Instruction[] {
  const triggers = state.config.onBuild ?? []
  if (triggers.length === 0) return []
  const { onBuild, ...config } = state.config
  state.config = config
  return triggers.map((trigger) => {
    try {
      const place = { ...stage.place, file: `ONBUILD of "${String(stage.base)}"` }
      return readInstruction(parseTrigger(trigger, place, escape), escape)
    } catch (error) {
      throw dockerfileError(stage.place, toTsstackError(error).message)
    }
  })
}

/** Errors get the place of their instruction, unless they have one. */
function located(error: unknown, instruction: Instruction): TsstackError {
  const failure = toTsstackError(error)
  const { file, line, column } = instruction.place
  const place = `${file}:${String(line)}:${String(column)}: `
  if (failure.code === 'CANCELLED' || failure.message.startsWith(place)) return failure
  const [keyword = ''] = instruction.text.split(/\s/)
  return new TsstackError(failure.code, `${place}${keyword.toUpperCase()}: ${failure.message}`, {
    cause: failure,
    ...(failure.hint === undefined ? {} : { hint: failure.hint }),
  })
}

/** Runs the instructions of a stage on its base. */
export async function buildStage(
  build: Build,
  stage: Stage,
  state: StageState,
): Promise<StageState> {
  const scope = scopeOf(build, stage, state)
  const instructions = [...takeTriggers(scope), ...stage.instructions]
  for (const instruction of instructions) {
    build.signal.throwIfAborted()
    const step = build.log.begin(stage, instruction)
    try {
      const isCached = await applyInstruction(scope, instruction)
      step.done(isCached)
    } catch (error) {
      const failure = located(build.signal.aborted ? abortReason(build.signal) : error, instruction)
      step.failed(failure)
      throw failure
    }
  }
  return state
}

function abortReason(signal: AbortSignal): unknown {
  const { reason } = signal as { readonly reason: unknown }
  return reason instanceof TsstackError
    ? reason
    : new TsstackError('CANCELLED', 'Cannot go on: the build was cancelled')
}

/** Sets labels that come with the build, after all instructions. */
export function addLabels(state: StageState, labels: Readonly<Record<string, string>>): void {
  if (Object.keys(labels).length > 0)
    change(state, { labels: { ...state.config.labels, ...labels } })
}
