/** Stages of a Dockerfile, and which of them a target needs: the others are not built at all. */
import { suggest } from '../../spec/suggest.ts'
import { TsstackError } from '../../errors.ts'
import { expandWord } from './expand.ts'
import type { Instruction } from './instruction.ts'
import { parseDockerfile, type ParsedDockerfile } from './parse-dockerfile.ts'
import { dockerfileError, type Place } from './place.ts'
import { readInstruction } from './read-instruction.ts'
import type { Escape } from './words.ts'

export interface Stage {
  readonly index: number
  /** In lower case. */
  readonly name?: string
  /** An earlier stage, or the reference of an image; variables are expanded. */
  readonly base: number | string
  readonly platform?: string
  /** Before variables are expanded. */
  readonly written: { readonly image: string; readonly platform?: string }
  /** Without FROM. */
  readonly instructions: readonly Instruction[]
  readonly place: Place
  readonly text: string
}

export interface Dockerfile {
  readonly escape: Escape
  readonly parsed: ParsedDockerfile
  readonly stages: readonly Stage[]
  /** What comes before the first FROM. */
  readonly globals: readonly Instruction[]
  /** ARG before the first FROM, expanded: defaults for the stages that declare them again. */
  readonly globalArguments: Readonly<Record<string, string>>
}

export interface BuildArguments {
  /** As given with the build. */
  readonly given: Readonly<Record<string, string>>
  /** BUILDPLATFORM, TARGETARCH and so on. */
  readonly platform: Readonly<Record<string, string>>
  /** Names, in lower case, of contexts that come with the build: each takes the place of a stage of its name. */
  readonly contexts: ReadonlySet<string>
}

/** Adds the place to an error of an expansion, which knows none. */
export function expandAt(
  word: string,
  place: Place,
  {
    escape,
    lookup,
  }: { readonly escape: Escape; readonly lookup: (name: string) => string | undefined },
): string {
  try {
    return expandWord(word, { escape, lookup })
  } catch (error) {
    if (error instanceof TsstackError)
      throw dockerfileError(place, `can't expand "${word}": ${error.message}`)
    throw error
  }
}

/** The first value of a name: names such as "constructor" have none unless they are given one. */
export function valueIn(
  name: string,
  ...records: readonly Readonly<Record<string, string>>[]
): string | undefined {
  const record = records.find((each) => Object.hasOwn(each, name))
  return record?.[name]
}

interface Opened {
  readonly escape: Escape
  readonly args: BuildArguments
  readonly globals: Record<string, string>
  readonly stages: (Omit<Stage, 'instructions'> & { readonly instructions: Instruction[] })[]
}

function takeGlobal(opened: Opened, instruction: Instruction & { readonly kind: 'arg' }): void {
  const { escape, args, globals } = opened
  const lookup = (name: string): string | undefined => valueIn(name, globals, args.platform)
  for (const [name, value] of instruction.names) {
    const given = valueIn(name, args.given, args.platform)
    if (given !== undefined) globals[name] = given
    else if (value !== undefined)
      globals[name] = expandAt(value, instruction.place, { escape, lookup })
  }
}

function openStage(opened: Opened, instruction: Instruction & { readonly kind: 'from' }): void {
  const { escape, args, globals, stages } = opened
  const { place, text, name } = instruction
  const lookup = (wanted: string): string | undefined => valueIn(wanted, globals, args.platform)
  const image = expandAt(instruction.image, place, { escape, lookup })
  if (image === '')
    throw dockerfileError(place, `FROM "${instruction.image}" is empty`, 'Give the ARG a default')
  const platform =
    instruction.platform === undefined
      ? ''
      : expandAt(instruction.platform, place, { escape, lookup })
  const known = stages.findLast((stage) => stage.name === image.toLowerCase())
  stages.push({
    index: stages.length,
    ...(name === undefined || args.contexts.has(name) ? {} : { name }),
    base: known?.index ?? image,
    ...(platform === '' ? {} : { platform }),
    written: {
      image: instruction.image,
      ...(instruction.platform === undefined ? {} : { platform: instruction.platform }),
    },
    ...{ instructions: [], place, text },
  })
}

/** @throws {INVALID_ARGUMENT} with file, line and column */
export function readDockerfile(text: string, file: string, args: BuildArguments): Dockerfile {
  const parsed = parseDockerfile(text, file)
  const { escape, instructions } = parsed
  const globals: Instruction[] = []
  const opened: Opened = { escape, args, globals: {}, stages: [] }
  for (const raw of instructions) {
    const instruction = readInstruction(raw, escape)
    const current = opened.stages.at(-1)
    if (instruction.kind === 'from') openStage(opened, instruction)
    else if (current !== undefined) current.instructions.push(instruction)
    else if (instruction.kind === 'arg') {
      takeGlobal(opened, instruction)
      globals.push(instruction)
    } else throw dockerfileError(raw.place, `${raw.keyword} comes before the first FROM`)
  }
  const [first] = instructions
  if (opened.stages.length === 0 && first !== undefined)
    throw dockerfileError(first.place, 'there is no FROM')
  return { escape, parsed, stages: opened.stages, globals, globalArguments: opened.globals }
}

/** The stage that `--from` or a target names, by name or by number; undefined when there is none before `limit`. */
export function findStage(
  stages: readonly Stage[],
  reference: string,
  limit: number,
): Stage | undefined {
  const before = stages.slice(0, limit)
  const byName = before.findLast(({ name }) => name === reference.toLowerCase())
  return byName ?? (/^\d+$/.test(reference) ? before[Number(reference)] : undefined)
}

/** The stage that is built: the last, or the one that is named. @throws {NOT_FOUND} */
export function targetStage({ stages }: Dockerfile, target: string | undefined): Stage {
  const last = stages.at(-1)
  const wanted = target === undefined ? last : findStage(stages, target, stages.length)
  if (wanted !== undefined) return wanted
  const names = stages.flatMap(({ name }) => name ?? [])
  const near = suggest(target ?? '', names)
  throw new TsstackError(
    'NOT_FOUND',
    `Cannot build target "${target ?? ''}": there is no such stage`,
    {
      hint: near === undefined ? `Stages are ${names.join(', ')}` : `Did you mean "${near}"?`,
    },
  )
}

/** Names that an instruction takes files from. */
function sourcesOf(instruction: Instruction): string[] {
  if (instruction.kind === 'copy') return instruction.from === undefined ? [] : [instruction.from]
  if (instruction.kind !== 'run') return []
  return instruction.mounts.flatMap(({ from }) => from ?? [])
}

/** The stages that a stage needs before it can be built, by number. */
export function stagesNeeded(stages: readonly Stage[], stage: Stage): number[] {
  const named = stage.instructions
    .flatMap(sourcesOf)
    .flatMap((name) => findStage(stages, name, stage.index)?.index ?? [])
  const base = typeof stage.base === 'number' ? [stage.base] : []
  return [...new Set([...base, ...named])].sort((a, b) => a - b)
}

/** What is built for a target, in an order in which it can be. */
export function stagesFor(stages: readonly Stage[], target: Stage): Stage[] {
  const wanted = new Set<number>()
  const visit = (stage: Stage): void => {
    if (wanted.has(stage.index)) return
    wanted.add(stage.index)
    for (const index of stagesNeeded(stages, stage)) {
      const needed = stages[index]
      if (needed !== undefined) visit(needed)
    }
  }
  visit(target)
  return stages.filter(({ index }) => wanted.has(index))
}
