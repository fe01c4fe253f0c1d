/** What `--from=NAME` names: an earlier stage, a context given with the build, an image; without a name the context. */
import fs from 'node:fs'
import type { Digest } from '../engine/images/image.ts'
import { formatReference, parseReference } from '../engine/images/reference.ts'
import { O_PATH } from '../kernel/file-calls.ts'
import { TsstackError } from '../errors.ts'
import { findStage } from './dockerfile/stages.ts'
import type { BuildInput, ContextSource } from './build-input.ts'
import { readBeneath } from './context-file.ts'
import { ignoreLines, readIgnorePatterns } from './ignore-patterns.ts'
import type { Build, StageBuild } from './layer-step.ts'
import type { SourceTree } from './source-tree.ts'
import { withLayers } from './tree-access.ts'

type NamedTree =
  | { readonly kind: 'context' }
  | { readonly kind: 'directory'; readonly name: string; readonly path: string }
  | { readonly kind: 'layers'; readonly name: string; readonly layers: readonly Digest[] }

async function imageTree({ host, lease }: Build, reference: string): Promise<NamedTree> {
  if (reference.toLowerCase() === 'scratch') return { kind: 'layers', name: 'scratch', layers: [] }
  const { layers } = await host.baseImage(reference)
  lease.add(layers)
  return { kind: 'layers', name: `image "${reference}"`, layers }
}

function canonicalName(name: string): string | undefined {
  try {
    return formatReference(parseReference(name))
  } catch {
    return undefined // no name of an image
  }
}

/** The context that is given under a name; `alpine` stands for `docker.io/library/alpine:latest`, too. */
export function findContext(
  { additionalContexts }: Pick<BuildInput, 'additionalContexts'>,
  name: string,
): ContextSource | undefined {
  if (Object.hasOwn(additionalContexts, name)) return additionalContexts[name]
  const canonical = canonicalName(name)
  const [, found] =
    Object.entries(additionalContexts).find(
      ([given]) => canonical !== undefined && canonicalName(given) === canonical,
    ) ?? []
  return found
}

/** @throws {NOT_FOUND} no stage, context or image has the name */
export async function findTree(
  { build, stage }: Pick<StageBuild, 'build' | 'stage'>,
  from: string | undefined,
): Promise<NamedTree> {
  const { input, dockerfile } = build
  if (from === undefined || from === 'context') return { kind: 'context' }
  const other = findStage(dockerfile.stages, from, stage.index)
  if (other !== undefined) {
    const { layers } = await build.stageOf(other.index)
    return { kind: 'layers', name: `stage "${from}"`, layers }
  }
  const given = findContext(input, from)
  if (given === undefined) return imageTree(build, from)
  if (given.kind === 'image') return imageTree(build, given.reference)
  return { kind: 'directory', name: `context "${from}"`, path: given.path }
}

/** Its own .dockerignore counts there. */
async function withDirectory<T>(
  { name, path }: NamedTree & { readonly kind: 'directory' },
  work: (tree: SourceTree) => Promise<T>,
): Promise<T> {
  const rootFd = fs.openSync(path, O_PATH | fs.constants.O_DIRECTORY)
  try {
    const ignore = readIgnorePatterns(ignoreLines(readBeneath(path, '.dockerignore') ?? ''))
    return await work({ name, rootFd, ignore, keepsOwner: false })
  } finally {
    fs.closeSync(rootFd)
  }
}

/** Opens a tree for reading, as long as `work` takes. */
export async function withTree<T>(
  build: Build,
  named: NamedTree,
  work: (tree: SourceTree) => Promise<T>,
): Promise<T> {
  if (named.kind === 'directory') return withDirectory(named, work)
  if (named.kind === 'layers') {
    const { name } = named
    return withLayers(build.host.builds, named.layers, (rootFd) =>
      work({ name, rootFd, keepsOwner: true }),
    )
  }
  if (build.contextFd === undefined)
    throw new TsstackError('NOT_FOUND', 'there is no build context to copy from')
  const { contextFd: rootFd, ignore } = build
  return work({ name: 'the build context', rootFd, ignore, keepsOwner: false })
}
