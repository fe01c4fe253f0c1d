/**
 * `RUN --mount=…` (Dockerfile reference, "RUN --mount"): what a step sees beside its root, and what none of it leaves in
 * the image.
 */
import { parseBytes } from '../spec/bytes.ts'
import { openConfined, O_PATH, RESOLVE } from '../kernel/file-calls.ts'
import { TsstackError } from '../errors.ts'
import fs from 'node:fs'
import type { StepMount } from './build-input.ts'
import { digestOfSources, planSources } from './copy-step.ts'
import type { Instruction, MountOptions, RunInstruction } from './dockerfile/instruction.ts'
import { readIgnorePatterns } from './ignore-patterns.ts'
import type { StageBuild } from './layer-step.ts'
import { findTree, withTree } from './named-tree.ts'
import { absolutePath } from './workdir-step.ts'

export interface RunMount {
  /** As far as they decide what the step makes. */
  readonly options: MountOptions
  /** What of its content decides it, too. */
  readonly identity: () => Promise<string>
  /** Held by one step at a time. */
  readonly lock?: string
  /** Opens the source as long as `work` takes; undefined: the step goes without. */
  readonly open: <T>(work: (mount: StepMount | undefined) => Promise<T>) => Promise<T>
}

const DIRECTORY_MODE = 0o755
const SECRET_MODE = 0o400

function targetOf({ state }: StageBuild, options: MountOptions): string {
  const target = options['target'] ?? options['dst'] ?? options['destination']
  if (target !== undefined && target !== '') return absolutePath(target, state.config.workingDir)
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `"--mount=type=${options['type'] ?? 'bind'}" needs a target`,
  )
}

function isTrue(options: MountOptions, ...names: readonly string[]): boolean {
  return names.some((name) => ['true', '1', ''].includes(options[name] ?? 'false'))
}

const nothing = (): Promise<string> => Promise.resolve('')

/** Of a tree that is opened only while the step runs. */
function bindMount(stage: StageBuild, options: MountOptions): RunMount {
  const { build } = stage
  const target = targetOf(stage, options)
  const source = options['source'] ?? options['src'] ?? '.'
  if (isTrue(options, 'rw', 'readwrite'))
    throw new TsstackError(
      'UNIMPLEMENTED',
      '"--mount=type=bind,rw" is not there: what is written is thrown away',
      {
        hint: 'Mount it read-only and copy what is to be changed',
      },
    )
  return {
    options,
    identity: async () => {
      const named = await findTree(stage, options['from'])
      if (named.kind === 'layers') return named.layers.join(' ')
      return withTree(build, named, async (tree) => {
        const sources = await planSources(tree, [source])
        return digestOfSources({ tree, sources }, readIgnorePatterns([]))
      })
    },
    open: async (work) => {
      const named = await findTree(stage, options['from'])
      if (named.kind === 'layers') {
        const draft = await build.host.builds.draft(named.layers, build.host.owner)
        const place = absolutePath(source, '/')
        return work({ kind: 'layers', target, draft, source: place }).finally(draft.discard)
      }
      return withTree(build, named, async (tree) => {
        const flags = { flags: O_PATH, resolve: RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS }
        const fd = openConfined(tree.rootFd, source.replace(/^\/+/, '') || '.', flags)
        try {
          const at = `/proc/self/fd/${fd}`
          const shown = { source: at, readOnly: true, isUsers: true } as const
          return await work({ kind: 'directory', target, ...shown })
        } finally {
          fs.closeSync(fd)
        }
      })
    },
  }
}

function cacheMount(stage: StageBuild, options: MountOptions): RunMount {
  const { build } = stage
  const target = targetOf(stage, options)
  const id = options['id'] ?? target
  const readOnly = isTrue(options, 'ro', 'readonly')
  const mode = Number.parseInt(options['mode'] ?? DIRECTORY_MODE.toString(8), 8)
  const [uid, gid] = [Number(options['uid'] ?? 0), Number(options['gid'] ?? 0)]
  const sharing = options['sharing'] ?? 'shared'
  if (!SHARING.has(sharing))
    throw new TsstackError('INVALID_ARGUMENT', `"sharing=${sharing}" is shared, private or locked`)
  return {
    options,
    identity: nothing,
    // "private" has one of its own, which here is one after the other.
    ...(sharing === 'shared' ? {} : { lock: id }),
    open: (work) => {
      const source = build.host.cacheDirectory(id)
      if (fs.readdirSync(source).length === 0) {
        fs.chownSync(source, uid, gid)
        fs.chmodSync(source, mode)
      }
      return work({ kind: 'directory', target, source, readOnly, isUsers: false })
    },
  }
}

const SHARING: ReadonlySet<string> = new Set(['shared', 'private', 'locked'])

/** By lock: the end of the step that has asked for it last. */
const waiting = new Map<string, Promise<unknown>>()

async function withLock<T>(lock: string, work: () => Promise<T>): Promise<T> {
  const result = (waiting.get(lock) ?? Promise.resolve()).then(work, work)
  waiting.set(lock, result)
  try {
    return await result
  } finally {
    if (waiting.get(lock) === result) waiting.delete(lock)
  }
}

/** Taken in the order of their names, whatever order a step has them in: no two steps wait for each other. */
function withLocks<T>(locks: readonly string[], work: () => Promise<T>): Promise<T> {
  const [first, ...rest] = locks
  return first === undefined ? work() : withLock(first, () => withLocks(rest, work))
}

function tmpfsMount(stage: StageBuild, options: MountOptions): RunMount {
  const target = targetOf(stage, options)
  const size = options['size']
  const sizeBytes = size === undefined ? {} : { sizeBytes: parseBytes(size) }
  return {
    options,
    identity: nothing,
    open: (work) => work({ kind: 'tmpfs', target, ...sizeBytes }),
  }
}

function missing(kind: string, id: string): TsstackError {
  return new TsstackError('NOT_FOUND', `${kind} "${id}" is required, and not given`, {
    hint: kind === 'secret' ? 'Name it in "build.secrets"' : 'Name it in "build.ssh"',
  })
}

/** Its content is no part of the key: a secret that changes makes nothing new. */
function secretMount(stage: StageBuild, options: MountOptions): RunMount {
  const target = options['target'] ?? options['dst'] ?? options['destination']
  const id = options['id'] ?? target?.split('/').at(-1) ?? ''
  const content = stage.build.input.secrets[id]
  const place = target === undefined ? `/run/secrets/${id}` : targetOf(stage, options)
  const mode = Number.parseInt(options['mode'] ?? SECRET_MODE.toString(8), 8)
  const [uid, gid] = [Number(options['uid'] ?? 0), Number(options['gid'] ?? 0)]
  if (options['env'] !== undefined)
    throw new TsstackError('UNIMPLEMENTED', '"--mount=type=secret,env=…" is not there', {
      hint: 'Read the file',
    })
  return {
    options,
    identity: nothing,
    open: (work) => {
      if (content !== undefined)
        return work({ kind: 'secret', target: place, content, mode, uid, gid })
      if (isTrue(options, 'required')) throw missing('secret', id)
      return work(undefined)
    },
  }
}

/** SSH_AUTH_SOCK is set by run-instruction.ts. */
function sshMount(stage: StageBuild, options: MountOptions): RunMount {
  const id = options['id'] ?? 'default'
  const source = stage.build.input.ssh[id]
  const target = options['target'] ?? options['dst'] ?? `/run/buildkit/ssh_agent.${id}`
  return {
    options,
    identity: nothing,
    open: (work) => {
      if (source !== undefined) return work({ kind: 'socket', target, source })
      if (isTrue(options, 'required')) throw missing('ssh agent', id)
      return work(undefined)
    },
  }
}

const KINDS: Readonly<Record<string, (stage: StageBuild, options: MountOptions) => RunMount>> = {
  bind: bindMount,
  cache: cacheMount,
  tmpfs: tmpfsMount,
  secret: secretMount,
  ssh: sshMount,
}

/** @throws {INVALID_ARGUMENT} */
export function readRunMounts(
  stage: StageBuild,
  { mounts, place }: Instruction & RunInstruction,
): RunMount[] {
  return mounts.map((written) => {
    const options = Object.fromEntries(
      Object.entries(written).map(([name, value]) => [name, stage.expand(value, place)]),
    )
    const kind = options['type'] ?? 'bind'
    const read = KINDS[kind]
    if (read === undefined)
      throw new TsstackError('INVALID_ARGUMENT', `"--mount=type=${kind}" is none`, {
        hint: `Kinds are ${Object.keys(KINDS).join(', ')}`,
      })
    return read(stage, options)
  })
}

/** Opens all of them as long as `work` takes. */
export function withRunMounts<T>(
  mounts: readonly RunMount[],
  work: (opened: readonly StepMount[]) => Promise<T>,
): Promise<T> {
  const locks = mounts.flatMap(({ lock }) => lock ?? [])
  return withLocks([...new Set(locks)].sort(), () => openEach(mounts, work))
}

/** One in the other. */
async function openEach<T>(
  mounts: readonly RunMount[],
  work: (opened: readonly StepMount[]) => Promise<T>,
): Promise<T> {
  const [first, ...rest] = mounts
  if (first === undefined) return work([])
  return first.open((mount) =>
    openEach(rest, (others) => work([...(mount === undefined ? [] : [mount]), ...others])),
  )
}
