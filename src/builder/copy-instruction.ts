/** COPY and ADD of a stage: variables expanded, the source found, the layer made or taken from the cache. */
import { TsstackError } from '../errors.ts'
import type { LayerDraft } from '../engine/images/image-builds.ts'
import type { Digest } from '../engine/images/image.ts'
import type { Added } from './added.ts'
import { isRemote, withAdded, withAddedParts } from './added-sources.ts'
import {
  copyInto,
  digestOfSources,
  planSources,
  type CopyPart,
  type CopyPlan,
} from './copy-step.ts'
import type { CopyInstruction, Instruction } from './dockerfile/instruction.ts'
import type { Place } from './dockerfile/place.ts'
import { checkMode } from './file-mode.ts'
import { readIgnorePatterns } from './ignore-patterns.ts'
import { addLayer, type StageBuild } from './layer-step.ts'
import { findTree, withTree } from './named-tree.ts'
import { stepKey } from './step-key.ts'
import { withDraft } from './tree-access.ts'
import { absolutePath } from './workdir-step.ts'

type Copy = Instruction & CopyInstruction

/** A copy with its variables expanded. */
interface Expanded {
  readonly sources: readonly string[]
  readonly remote: readonly string[]
  readonly destination: string
  readonly chown?: string
  readonly chmod?: string
  readonly checksum?: string
  readonly exclude: readonly string[]
}

/** A slash at the end stays: it means a directory. */
function destinationOf(written: string, workingDir: string | undefined): string {
  const resolved = absolutePath(written, workingDir)
  return /(?:^|\/)\.?\/?$/.test(written) && resolved !== '/' ? `${resolved}/` : resolved
}

function modeOf(mode: string, place: Place): string {
  checkMode(mode, place)
  return mode
}

function expanded({ expand, state }: StageBuild, copy: Copy): Expanded {
  const { place } = copy
  const text = (word: string): string => expand(word, place)
  const names = copy.sources.map(text)
  const { chown, chmod, checksum } = copy
  return {
    sources: names.filter((name) => !(copy.isAdd && isRemote(name))),
    remote: names.filter((name) => copy.isAdd && isRemote(name)),
    destination: destinationOf(text(copy.destination), state.config.workingDir),
    ...(chown === undefined ? {} : { chown: text(chown) }),
    ...(chmod === undefined ? {} : { chmod: modeOf(text(chmod), place) }),
    ...(checksum === undefined ? {} : { checksum: text(checksum) }),
    exclude: copy.exclude.map(text),
  }
}

function textsOf({ expand }: StageBuild, copy: Copy): CopyPlan['texts'] {
  return copy.heredocs.map(({ name, content, isExpanded }) => ({
    name,
    content: isExpanded ? expandLines(content, (line) => expand(line, copy.place)) : content,
  }))
}

/** Variables alone are expanded in a here-document; its quotes are text. */
function expandLines(content: string, expand: (text: string) => string): string {
  return expand(content.replaceAll(/["']/g, (quote) => `\\${quote}`))
}

async function inputsOf(
  { parts, excludes, texts }: CopyPlan,
  added: readonly Added[],
): Promise<string[]> {
  const files: string[] = []
  for (const part of parts) files.push(await digestOfSources(part, excludes))
  return [
    ...files,
    ...texts.map(({ name, content }) => JSON.stringify([name, content])),
    ...added.map(({ identity }) => identity),
  ]
}

/** A copy that may have to be made. */
interface Copying {
  readonly stage: StageBuild
  readonly copy: Copy
  readonly what: Expanded
  readonly added: readonly Added[]
  readonly ground: readonly Digest[]
  readonly key: (inputs: readonly (string | readonly string[])[]) => Digest
}

async function copyParts(
  { stage, copy, what, added, ground, key }: Copying,
  parts: readonly CopyPart[],
): Promise<boolean> {
  const { chown, chmod, destination } = what
  const plan: CopyPlan = {
    ...{ parts, destination, parents: copy.parents },
    ...(chown === undefined ? {} : { chown }),
    ...(chmod === undefined ? {} : { chmod }),
    excludes: readIgnorePatterns(what.exclude),
    texts: textsOf(stage, copy),
  }
  const make = (draft: LayerDraft): Promise<void> =>
    withAddedParts(added, { unpack: copy.unpack ?? false }, (more) =>
      withDraft(draft, (rootFd) => copyInto({ ...plan, parts: [...parts, ...more] }, rootFd)),
    )
  return addLayer(stage, {
    ...{ instruction: copy, key: key(await inputsOf(plan, added)), layers: ground, owner: 0, make },
  })
}

async function copyFrom(copying: Copying): Promise<boolean> {
  const { stage, copy, what, added, ground, key } = copying
  if (what.sources.length === 0) return copyParts(copying, [])
  const { builds } = stage.build.host
  const named = await findTree(stage, copy.from)
  // A source whose layers are the same needs no look at its files.
  const quickKey =
    named.kind === 'layers' && added.length === 0 && copy.heredocs.length === 0
      ? key(['layers', named.layers])
      : undefined
  const known = quickKey === undefined || !stage.isCached ? undefined : builds.cached(quickKey)
  if (known !== undefined)
    return addLayer(stage, { ...unneeded(copy), key: known.key, layers: ground })
  const isKnown = await withTree(stage.build, named, async (tree) => {
    const sources = await planSources(tree, what.sources)
    return copyParts(copying, [{ tree, sources, unpack: copy.isAdd && copy.unpack !== false }])
  })
  remember(stage, quickKey)
  return isKnown
}

/** @returns whether what it made was known already */
export async function copyStep(stage: StageBuild, copy: Copy): Promise<boolean> {
  const { build, state } = stage
  const what = expanded(stage, copy)
  const { parents, unpack, isAdd, keepGitDir } = copy
  const ground = copy.link ? [] : state.layers
  const key = (inputs: readonly (string | readonly string[])[]): Digest =>
    stepKey(ground, {
      ...{ kind: 'copy', ...what, parents, unpack: unpack ?? isAdd, inputs, epoch: build.epoch },
    })
  const options = {
    ...{ checksum: what.checksum, keepGitDir, signal: build.signal },
    reachesHost: build.input.run.network === 'host',
  }
  return withAdded(build, what.remote, options, (added) =>
    copyFrom({ stage, copy, what, added, ground, key }),
  )
}

/** A step that the cache is known to have. */
function unneeded(
  instruction: Copy,
): Pick<Parameters<typeof addLayer>[1], 'instruction' | 'owner' | 'make'> {
  const make = (): Promise<void> =>
    Promise.reject(new TsstackError('UNAVAILABLE', 'a layer was removed meanwhile'))
  return { instruction, owner: 0, make }
}

/** The layer that was added last, under the key that needs no look at files. */
function remember({ build, state }: StageBuild, quickKey: string | undefined): void {
  const diffId = state.layers.at(-1)
  const { created, createdBy } = state.history.at(-1) ?? {}
  if (quickKey === undefined || diffId === undefined || created === undefined) return
  if (build.shared.has(diffId)) return // whoever keeps that cache made it
  if (build.shared.has(diffId)) return
  const step = { key: quickKey, diffId, created, description: createdBy ?? '' }
  build.host.builds.alias(quickKey, step)
}
