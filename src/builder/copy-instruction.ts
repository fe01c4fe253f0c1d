/** COPY and ADD of a stage: variables expanded, the source found, the layer made or taken from the cache. */
import { TsstackError } from '../errors.ts'
import { findAdded, type AddedContent } from './add-remote.ts'
import { copyInto, digestOfSources, planSources, type CopyPlan } from './copy-step.ts'
import type { CopyInstruction, Instruction } from './dockerfile/instruction.ts'
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

function isRemote(source: string): boolean {
  return /^(?:https?:\/\/|git@|git:\/\/|ssh:\/\/)/.test(source)
}

/** A slash at the end stays: it means a directory. */
function destinationOf(written: string, workingDir: string | undefined): string {
  const resolved = absolutePath(written, workingDir)
  return /(?:^|\/)\.?\/?$/.test(written) && resolved !== '/' ? `${resolved}/` : resolved
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
    ...(chmod === undefined ? {} : { chmod: text(chmod) }),
    ...(checksum === undefined ? {} : { checksum: text(checksum) }),
    exclude: copy.exclude.map(text),
  }
}

function contentsOf(
  { expand }: StageBuild,
  copy: Copy,
  added: readonly AddedContent[],
): CopyPlan['contents'] {
  const heredocs = copy.heredocs.map(({ name, content, isExpanded }) => ({
    name,
    content: isExpanded ? expandLines(content, (line) => expand(line, copy.place)) : content,
  }))
  return [...heredocs, ...added.map(({ name, read }) => ({ name, content: read }))]
}

/** Variables alone are expanded in a here-document; its quotes are text. */
function expandLines(content: string, expand: (text: string) => string): string {
  return expand(content.replaceAll(/["']/g, (quote) => `\\${quote}`))
}

async function contentDigest(plan: CopyPlan, added: readonly AddedContent[]): Promise<string[]> {
  const files = plan.sources.length === 0 ? '' : await digestOfSources(plan)
  const texts = plan.contents.map(({ name, content }) =>
    JSON.stringify([name, typeof content === 'string' ? content : '']),
  )
  return [files, ...texts, ...added.map(({ name, digest }) => `${name} ${digest}`)]
}

/** @returns whether what it made was known already */
export async function copyStep(stage: StageBuild, copy: Copy): Promise<boolean> {
  const { build, state } = stage
  const what = expanded(stage, copy)
  const added = await findAdded(what.remote, {
    checksum: what.checksum,
    reachesHost: build.input.run.network === 'host',
    signal: build.signal,
  })
  const named = await findTree(stage, copy.from)
  const { isAdd, parents } = copy
  const unpack = isAdd && copy.unpack !== false
  const flags = { ...what, parents, unpack, contents: '' }
  const ground = copy.link ? [] : state.layers
  const key = (inputs: readonly (string | readonly string[])[]): string =>
    stepKey(ground, { kind: 'copy', ...flags, inputs, epoch: build.epoch })
  // A source whose layers are the same needs no look at its files.
  const quickKey =
    named.kind === 'layers' && added.length === 0 && copy.heredocs.length === 0
      ? key(['layers', named.layers])
      : undefined
  const known =
    quickKey === undefined || !stage.isCached ? undefined : build.host.builds.cached(quickKey)
  if (known !== undefined)
    return addLayer(stage, { ...unneeded(copy), key: known.key, layers: ground })
  const copyFrom = async (
    tree: CopyPlan['tree'],
    sources: CopyPlan['sources'],
  ): Promise<boolean> => {
    const { chown, chmod, destination } = what
    const plan: CopyPlan = {
      ...{ tree, sources, destination, parents, unpack },
      ...(chown === undefined ? {} : { chown }),
      ...(chmod === undefined ? {} : { chmod }),
      excludes: readIgnorePatterns(what.exclude),
      contents: contentsOf(stage, copy, added),
    }
    const isKnown = await addLayer(stage, {
      instruction: copy,
      key: key(await contentDigest(plan, added)),
      layers: ground,
      owner: 0,
      make: (draft) => withDraft(draft, (rootFd) => copyInto(plan, rootFd)),
    })
    remember(stage, quickKey)
    return isKnown
  }
  if (what.sources.length === 0) return copyFrom(NO_TREE, [])
  return withTree(build, named, async (tree) =>
    copyFrom(tree, await planSources(tree, what.sources)),
  )
}

const NO_TREE: CopyPlan['tree'] = { name: 'nothing', rootFd: -1, keepsOwner: false }

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
  const step = { key: quickKey, diffId, created, description: createdBy ?? '' }
  build.host.builds.alias(quickKey, step)
}
