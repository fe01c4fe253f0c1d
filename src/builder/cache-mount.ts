/**
 * `RUN --mount=type=cache`: a directory that stays from build to build.
 *
 *   shared    every step that asks for the id has the same directory
 *   locked    the same directory, one step after the other
 *   private   the first directory of the id that no step has now: `id`, or the next
 */
import fs from 'node:fs'
import { TsstackError } from '../errors.ts'
import { O_PATH } from '../kernel/file-calls.ts'
import { copyInto, planSources } from './copy-step.ts'
import type { MountOptions } from './dockerfile/instruction.ts'
import { readIgnorePatterns } from './ignore-patterns.ts'
import type { StageBuild } from './layer-step.ts'
import { isTrue, modeIn, optionOf, ownerIn, requiredTarget } from './mount-options.ts'
import { findTree, withTree } from './named-tree.ts'
import type { RunMount } from './run-mount.ts'

const DIRECTORY_MODE = 0o755
const SHARING: ReadonlySet<string> = new Set(['shared', 'private', 'locked'])
/** Steps that have the same private cache beside each other. */
const MAX_PRIVATE = 1000

/** By directory: how many steps have it now. */
const inUse = new Map<string, number>()

async function using<T>(directory: string, work: () => Promise<T>): Promise<T> {
  inUse.set(directory, (inUse.get(directory) ?? 0) + 1)
  try {
    return await work()
  } finally {
    const others = (inUse.get(directory) ?? 1) - 1
    if (others === 0) inUse.delete(directory)
    else inUse.set(directory, others)
  }
}

function freeDirectory(directoryOf: (id: string) => string, id: string): string {
  for (let number = 0; number < MAX_PRIVATE; number++) {
    const directory = directoryOf(number === 0 ? id : `${id}\0${number}`)
    if (!inUse.has(directory)) return directory
  }
  throw new TsstackError('FAILED_PRECONDITION', `too many steps have cache "${id}" at once`)
}

interface Seed {
  readonly from: string
  readonly source: string
}

/** What a new cache begins with. */
async function seed(stage: StageBuild, directory: string, { from, source }: Seed): Promise<void> {
  const named = await findTree(stage, from)
  const rootFd = fs.openSync(directory, O_PATH | fs.constants.O_DIRECTORY)
  try {
    await withTree(stage.build, named, async (tree) => {
      const sources = await planSources(tree, [source])
      const parts = [{ tree, sources, unpack: false }]
      const excludes = readIgnorePatterns([])
      await copyInto({ parts, destination: '/', excludes, parents: false, texts: [] }, rootFd)
    })
  } finally {
    fs.closeSync(rootFd)
  }
}

/** A seed is part of the id: caches that began otherwise are others. */
function idOf({ build }: StageBuild, options: MountOptions, target: string): string {
  const id = optionOf(options, 'id') ?? target
  const { from } = options
  const space = build.input.args['BUILDKIT_CACHE_MOUNT_NS'] ?? ''
  const parts = [space, ...(from === undefined ? [] : [from, options['source'] ?? '/']), id]
  return parts.filter((part) => part !== '').join('\0')
}

export function cacheMount(stage: StageBuild, options: MountOptions): RunMount {
  const { build } = stage
  const target = requiredTarget(options, stage.state.config.workingDir)
  const id = idOf(stage, options, target)
  const readOnly = isTrue(options, 'ro', 'readonly')
  const mode = modeIn(options, DIRECTORY_MODE)
  const owner = ownerIn(options)
  const sharing = options['sharing'] ?? 'shared'
  const { from } = options
  if (!SHARING.has(sharing))
    throw new TsstackError('INVALID_ARGUMENT', `"sharing=${sharing}" is shared, private or locked`)
  const fill = async (directory: string): Promise<void> => {
    if (fs.readdirSync(directory).length > 0) return
    fs.chownSync(directory, owner.uid, owner.gid)
    fs.chmodSync(directory, mode)
    if (from !== undefined)
      await seed(stage, directory, { from, source: optionOf(options, 'source', 'src') ?? '/' })
  }
  return {
    options,
    identity: () => Promise.resolve(''),
    ...(sharing === 'locked' || from !== undefined ? { lock: id } : {}),
    open: (work) => {
      const { cacheDirectory } = build.host
      const source = sharing === 'private' ? freeDirectory(cacheDirectory, id) : cacheDirectory(id)
      return using(source, async () => {
        await fill(source)
        return work({ kind: 'directory', target, source, readOnly, isUsers: false })
      })
    },
  }
}
