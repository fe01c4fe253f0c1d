/** `RUN --mount=type=bind`: a part of the context, of another stage or of an image, seen by one step. */
import fs from 'node:fs'
import { openConfined, O_PATH, RESOLVE } from '../kernel/file-calls.ts'
import type { Digest } from '../engine/images/image.ts'
import { copyInto, digestOfSources, planSources } from './copy-step.ts'
import type { MountOptions } from './dockerfile/instruction.ts'
import { readIgnorePatterns } from './ignore-patterns.ts'
import type { StageBuild } from './layer-step.ts'
import { isTrue, optionOf, requiredTarget } from './mount-options.ts'
import { findTree, withTree } from './named-tree.ts'
import type { RunMount, StepMountWork } from './run-mount.ts'
import type { SourceTree } from './source-tree.ts'
import { stepKey } from './step-key.ts'
import { withDraft } from './tree-access.ts'
import { absolutePath } from './workdir-step.ts'

interface Bind {
  readonly stage: StageBuild
  readonly from: string | undefined
  readonly source: string
  readonly target: string
  /** What is written is seen by this step alone. */
  readonly isWritable: boolean
  /** The host id that is root in the step. */
  readonly owner: number
}

/** In a layer that was made for it. */
const COPY = '/source'

/** Of a directory: its content; of layers: their names, no file is read. */
async function identityOf({ stage, from, source }: Bind): Promise<string> {
  const named = await findTree(stage, from)
  if (named.kind === 'layers') return named.layers.join(' ')
  return withTree(stage.build, named, async (tree) => {
    const sources = await planSources(tree, [source])
    return digestOfSources({ tree, sources }, readIgnorePatterns([]))
  })
}

/** What the step may see of a directory, as a layer, which the cache keeps for the next step that wants the same. */
async function layerOf({ stage, source }: Bind, tree: SourceTree): Promise<Digest> {
  const { builds } = stage.build.host
  const sources = await planSources(tree, [source])
  const excludes = readIgnorePatterns([])
  const content = await digestOfSources({ tree, sources }, excludes)
  const key = stepKey([], { kind: 'bind', content })
  const known = builds.cached(key)
  if (known !== undefined) return known.diffId
  const draft = await builds.draft([], 0)
  try {
    const parts = [{ tree, sources, unpack: false }]
    const plan = { parts, destination: COPY, excludes, parents: false, texts: [] }
    await withDraft(draft, (rootFd) => copyInto(plan, rootFd))
    const made = { key, created: new Date().toISOString(), description: `bind of ${source}` }
    return (await builds.commit(draft, made, { owner: 0 })).diffId
  } finally {
    await draft.discard()
  }
}

async function openLayers<T>(
  { stage, target, isWritable, owner }: Bind,
  { layers, source }: { readonly layers: readonly Digest[]; readonly source: string },
  work: StepMountWork<T>,
): Promise<T> {
  const { builds } = stage.build.host
  const shown = { kind: 'layers', target, source, readOnly: !isWritable } as const
  if (!isWritable) return work({ ...shown, tree: builds.reading(layers) })
  const draft = await builds.draft(layers, owner)
  return work({ ...shown, tree: draft.mount }).finally(draft.discard)
}

async function openDirectory<T>(
  { source, target }: Bind,
  tree: SourceTree,
  work: StepMountWork<T>,
): Promise<T> {
  const flags = { flags: O_PATH, resolve: RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS }
  const fd = openConfined(tree.rootFd, source.replace(/^\/+/, '') || '.', flags)
  try {
    const at = `/proc/self/fd/${fd}`
    return await work({ kind: 'directory', target, source: at, readOnly: true, isUsers: true })
  } finally {
    fs.closeSync(fd)
  }
}

async function openBind<T>(bind: Bind, work: StepMountWork<T>): Promise<T> {
  const { stage, from, source, isWritable } = bind
  const { build } = stage
  const named = await findTree(stage, from)
  if (named.kind === 'layers') {
    const place = absolutePath(source, '/')
    return openLayers(bind, { layers: named.layers, source: place }, work)
  }
  return withTree(build, named, async (tree) => {
    // What is ignored is not to be seen, and what is written not to stay.
    if (!isWritable && tree.ignore?.isEmpty !== false) return openDirectory(bind, tree, work)
    const layer = await layerOf(bind, tree)
    build.lease.add([layer])
    return openLayers(bind, { layers: [layer], source: COPY }, work)
  })
}

export function bindMount(stage: StageBuild, options: MountOptions, owner: number): RunMount {
  const bind: Bind = {
    ...{ stage, owner, from: options['from'] },
    target: requiredTarget(options, stage.state.config.workingDir),
    source: optionOf(options, 'source', 'src') ?? '.',
    isWritable:
      isTrue(options, 'rw', 'readwrite') ||
      ['false', '0'].includes(options['ro'] ?? options['readonly'] ?? ''),
  }
  return {
    options,
    identity: () => identityOf(bind),
    open: (work) => openBind(bind, work),
  }
}
