/** A step that makes a layer: taken from the cache, or made in a draft. And what a stage is while it is built. */
import { once } from 'node:events'
import type { CachedStep } from '../engine/images/build-cache.ts'
import type { Hold } from '../engine/images/holds.ts'
import type { ImageBuilds, LayerDraft } from '../engine/images/image-builds.ts'
import type { Digest } from '../engine/images/image.ts'
import type { BuildHost, BuildInput } from './build-input.ts'
import type { Instruction } from './dockerfile/instruction.ts'
import type { Dockerfile, Stage } from './dockerfile/stages.ts'
import type { IgnorePatterns } from './ignore-patterns.ts'
import type { StepScope } from './metadata-step.ts'
import type { StageState } from './stage-state.ts'
import type { StepLog } from './step-log.ts'

/** One build while it runs. */
export interface Build {
  readonly input: BuildInput
  readonly host: BuildHost
  readonly dockerfile: Dockerfile
  /** The directory of the context, opened; absent: there is none. */
  readonly contextFd: number | undefined
  readonly ignore: IgnorePatterns
  /** An earlier stage, once it is built. */
  readonly stageOf: (index: number) => Promise<StageState>
  readonly lease: Hold
  readonly log: StepLog
  /** Raised when the client has gone or another stage has failed. */
  readonly signal: AbortSignal
  /** All that it has made or found, in the order in which it was there. */
  readonly steps: CachedStep[]
  /** Layers that come from caches of others: none but this build believes that they are what they are said to be. */
  readonly shared: Set<Digest>
  /** SOURCE_DATE_EPOCH, in seconds. */
  readonly epoch: number | undefined
}

/** A stage while it is built. */
export interface StageBuild extends StepScope {
  readonly build: Build
  readonly stage: Stage
  readonly isCached: boolean
}

/** What a step is, and how it is done when the cache does not know it. */
export interface LayerStep {
  readonly instruction: Instruction
  readonly key: Digest
  /** The layers on which it works. */
  readonly layers: readonly Digest[]
  /** The host id that is the draft's root. */
  readonly owner: number
  readonly make: (draft: LayerDraft) => Promise<void>
}

function timeOf({ epoch }: Build): string {
  const now = epoch === undefined ? Date.now() : epoch * 1000
  return new Date(now).toISOString().replace(/\.\d+Z$/, 'Z')
}

async function makeLayer({ build }: StageBuild, step: LayerStep): Promise<CachedStep> {
  const { host, epoch } = build
  const draft = await host.builds.draft(step.layers, step.owner)
  try {
    await step.make(draft)
    build.signal.throwIfAborted()
    const made = { key: step.key, created: timeOf(build), description: step.instruction.text }
    const latest = epoch === undefined ? {} : { latest: epoch }
    return await host.builds.commit(draft, made, { owner: step.owner, ...latest })
  } finally {
    await draft.discard()
  }
}

async function shareOrMake(stage: StageBuild, step: LayerStep): Promise<Layer> {
  const { host, shared } = stage.build
  const found = await host.sharedStep(step.key)
  if (found === undefined) return { made: await makeLayer(stage, step), wasKnown: false }
  shared.add(found.diffId)
  return { made: found, wasKnown: true }
}

/** Layers that are being made, by key: builds beside each other make what they have in common once. */
const inMaking = new WeakMap<ImageBuilds, Map<Digest, Promise<unknown>>>()

interface Layer {
  readonly made: CachedStep
  readonly wasKnown: boolean
}

/** Waits for a build that makes the layer already; its failure is told by that build, and the layer made here then. */
async function cachedOrMade(stage: StageBuild, step: LayerStep): Promise<Layer> {
  const { host, signal } = stage.build
  const making = inMaking.get(host.builds) ?? new Map<Digest, Promise<unknown>>()
  inMaking.set(host.builds, making)
  for (;;) {
    const known = host.builds.cached(step.key)
    if (known !== undefined) return { made: known, wasKnown: true }
    const other = making.get(step.key)
    if (other === undefined) break
    const cancelled = once(signal, 'abort').catch(() => undefined)
    await Promise.race([other.catch(() => undefined), cancelled])
    signal.throwIfAborted()
  }
  const own = shareOrMake(stage, step)
  making.set(step.key, own)
  try {
    return await own
  } finally {
    making.delete(step.key)
  }
}

/** Takes the layer of a step from the cache, or makes it, and puts it on the stage. @returns whether it was known */
export async function addLayer(stage: StageBuild, step: LayerStep): Promise<boolean> {
  const { build, state } = stage
  const { made, wasKnown } = stage.isCached
    ? await cachedOrMade(stage, step)
    : { made: await makeLayer(stage, step), wasKnown: false }
  build.lease.add([made.diffId])
  build.steps.push({ ...made, key: step.key })
  state.layers = [...state.layers, made.diffId]
  state.created = made.created
  state.history.push({ created: made.created, createdBy: step.instruction.text })
  return wasKnown
}
