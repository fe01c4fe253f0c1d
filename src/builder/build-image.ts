/**
 * The whole way from a Dockerfile to an image. Stages that the target does not need are not built; those that do not
 * need each other are built side by side. Until the end nothing is visible but layers of the cache.
 */
import fs from 'node:fs'
import type { CachedStep } from '../engine/images/build-cache.ts'
import { HOST_ARCHITECTURE, type Image } from '../engine/images/image.ts'
import { formatSteps, STEPS_FIELD } from '../engine/images/shared-steps.ts'
import { O_PATH } from '../kernel/file-calls.ts'
import { TsstackError } from '../errors.ts'
import type { BuildHost, BuildInput } from './build-input.ts'
import { readBuild, tellFindings, tellUnused } from './check-build.ts'
import { stagesFor, targetStage, type Stage } from './dockerfile/stages.ts'
import { dockerfileError } from './dockerfile/place.ts'
import { readIgnorePatterns } from './ignore-patterns.ts'
import type { Build } from './layer-step.ts'
import { findContext } from './named-tree.ts'
import { addLabels, buildStage } from './stage-builder.ts'
import { emptyState, stateFromImage, stateFromStage, type StageState } from './stage-state.ts'
import { createStepLog } from './step-log.ts'

const PLATFORM = `linux/${HOST_ARCHITECTURE}`

/** Names without one: `amd64`; what it says beyond the architecture does not matter here. */
function isPlatformOfHost(platform: string): boolean {
  return (
    platform === PLATFORM || platform.startsWith(`${PLATFORM}/`) || platform === HOST_ARCHITECTURE
  )
}

function checkPlatforms(stages: readonly Stage[], { platform }: BuildInput): void {
  if (platform !== undefined && !isPlatformOfHost(platform))
    throw new TsstackError(
      'UNIMPLEMENTED',
      `Cannot build for platform "${platform}": this host is "${PLATFORM}"`,
    )
  for (const stage of stages) {
    if (stage.platform === undefined || isPlatformOfHost(stage.platform)) continue
    throw dockerfileError(
      stage.place,
      `platform "${stage.platform}" can't be built: this host is "${PLATFORM}"`,
    )
  }
}

async function imageState({ host, lease }: Build, reference: string): Promise<StageState> {
  const image = await host.baseImage(reference)
  lease.add([...image.layers, image.id, image.digest])
  return stateFromImage(image, host.originOf(image))
}

async function baseState(build: Build, { base, place }: Stage): Promise<StageState> {
  if (typeof base === 'number') return stateFromStage(await build.stageOf(base))
  if (base.toLowerCase() === 'scratch') return emptyState()
  const given = findContext(build.input, base)
  if (given?.kind === 'directory')
    throw dockerfileError(place, `context "${base}" is a directory, no image`)
  try {
    return await imageState(build, given?.reference ?? base)
  } catch (error) {
    if (!(error instanceof TsstackError) || error.code === 'CANCELLED') throw error
    const at = `${place.file}:${String(place.line)}:${String(place.column)}`
    const hint = error.hint === undefined ? {} : { hint: error.hint }
    throw new TsstackError(error.code, `${at}: ${error.message}`, { cause: error, ...hint })
  }
}

/** Each stage once, when first needed; the first failure stops the others. */
function createStages(
  build: () => Build,
  stages: readonly Stage[],
  stop: AbortController,
): (index: number) => Promise<StageState> {
  const started = new Map<number, Promise<StageState>>()
  return (index) => {
    const known = started.get(index)
    if (known !== undefined) return known
    const stage = stages[index]
    if (stage === undefined)
      throw new TsstackError('INTERNAL', 'Cannot build a stage that there is not')
    const work = async (): Promise<StageState> => {
      try {
        return await buildStage(build(), stage, await baseState(build(), stage))
      } catch (error) {
        stop.abort(error)
        throw error
      }
    }
    const result = work()
    result.catch(() => undefined) // who needs it hears of it
    started.set(index, result)
    return result
  }
}

function epochOf({ args }: BuildInput): number | undefined {
  const text = args['SOURCE_DATE_EPOCH']
  if (text === undefined || text === '') return undefined
  if (/^\d{1,11}$/.test(text)) return Number(text)
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot use SOURCE_DATE_EPOCH "${text}": it is no count of seconds`,
  )
}

function openContext({ context }: BuildInput): number | undefined {
  if (context === undefined) return undefined
  try {
    return fs.openSync(context, O_PATH | fs.constants.O_DIRECTORY)
  } catch (cause) {
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot open build context "${context}": it is no directory`,
      { cause },
    )
  }
}

/** With SOURCE_DATE_EPOCH the image says that time, whenever its layers were made. */
function finish(build: Build, state: StageState): Promise<Image> {
  const { epoch, host, input } = build
  addLabels(state, input.labels)
  const fixed =
    epoch === undefined ? undefined : new Date(epoch * 1000).toISOString().replace('.000Z', 'Z')
  const config = {
    architecture: HOST_ARCHITECTURE,
    os: 'linux',
    created: fixed ?? state.created,
    config: state.config,
    layers: state.layers,
  }
  const { author, history, bases } = state
  const own = build.steps.filter(({ diffId }) => state.layers.includes(diffId))
  const origin = {
    history,
    ...(author === undefined ? {} : { author }),
    ...(input.inlineCache ? { extra: { [STEPS_FIELD]: formatSteps(own) } } : {}),
  }
  return host.builds.addImage(config, { bases, origin, names: input.names ?? [] })
}

export interface BuiltImage {
  readonly image: Image
  /** Those of all stages, for caches. */
  readonly steps: readonly CachedStep[]
}

/**
 * Builds an image.
 * @throws {INVALID_ARGUMENT} the Dockerfile is wrong; with file, line and column
 * @throws {FAILED_PRECONDITION} a RUN failed; {NOT_FOUND} a file or an image is missing; {CANCELLED}
 */
export async function buildImage(input: BuildInput, host: BuildHost): Promise<BuiltImage> {
  const read = readBuild(input)
  const { dockerfile, platform } = read
  const target = targetStage(dockerfile, input.target)
  const wanted = stagesFor(dockerfile.stages, target)
  checkPlatforms(wanted, input)
  await tellFindings(input, host, read)
  tellUnused(input, host, read)
  const stop = new AbortController()
  const lease = host.builds.lease()
  const epoch = epochOf(input)
  const ignore = readIgnorePatterns(input.dockerfile.ignore)
  const contextFd = openContext(input)
  const stageOf = createStages(() => build, dockerfile.stages, stop)
  const signal = AbortSignal.any([host.signal, stop.signal])
  const log = createStepLog(host, platform)
  const build: Build = {
    input,
    host,
    dockerfile,
    lease,
    log,
    signal,
    steps: [],
    shared: new Set(),
    epoch,
    ignore,
    contextFd,
    stageOf,
  }
  const running = wanted.map(({ index }) => stageOf(index))
  try {
    await Promise.all(running)
    const image = await finish(build, await stageOf(target.index))
    return { image, steps: build.steps }
  } finally {
    await Promise.allSettled(running) // none may go on without the context
    if (contextFd !== undefined) fs.closeSync(contextFd)
    lease.release()
  }
}
