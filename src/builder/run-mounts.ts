/**
 * `RUN --mount=…` (Dockerfile reference, "RUN --mount"): what a step sees beside its root, and what none of it leaves in
 * the image.
 */
import { tryParseBytes } from '../spec/bytes.ts'
import { TsstackError } from '../errors.ts'
import { bindMount } from './bind-mount.ts'
import type { StepMount } from './build-input.ts'
import { cacheMount } from './cache-mount.ts'
import type { Instruction, MountOptions, RunInstruction } from './dockerfile/instruction.ts'
import { valueIn } from './dockerfile/stages.ts'
import type { StageBuild } from './layer-step.ts'
import type { RunMount } from './run-mount.ts'
import { isTrue, modeIn, optionOf, ownerIn, requiredTarget, targetIn } from './mount-options.ts'

const SECRET_MODE = 0o400

const nothing = (): Promise<string> => Promise.resolve('')

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
  const target = requiredTarget(options, stage.state.config.workingDir)
  const { size } = options
  const sizeBytes = size === undefined ? undefined : tryParseBytes(size)
  if (size !== undefined && (sizeBytes === undefined || sizeBytes <= 0))
    throw new TsstackError('INVALID_ARGUMENT', `"size=${size}" is no size`, {
      hint: 'Write a number and a unit, such as 64m',
    })
  const sized = sizeBytes === undefined ? {} : { sizeBytes }
  return { options, identity: nothing, open: (work) => work({ kind: 'tmpfs', target, ...sized }) }
}

function missing(kind: string, id: string): TsstackError {
  return new TsstackError('NOT_FOUND', `${kind} "${id}" is required, and not given`, {
    hint: kind === 'secret' ? 'Name it in "build.secrets"' : 'Name it in "build.ssh"',
  })
}

/** A file, a variable with `env=NAME`, or both. Its content is no part of the key: a secret that changes makes nothing new. */
function secretMount(stage: StageBuild, options: MountOptions): RunMount {
  const { workingDir } = stage.state.config
  const target = targetIn(options, workingDir)
  const id = optionOf(options, 'id', 'source', 'src') ?? target?.split('/').at(-1) ?? ''
  if (id === '') throw new TsstackError('INVALID_ARGUMENT', 'a secret needs an id or a target')
  const { secrets } = stage.build.input
  const content = Object.hasOwn(secrets, id) ? secrets[id] : undefined
  const { env } = options
  const isFile = env === undefined || target !== undefined
  const file = { kind: 'secret', target: target ?? `/run/secrets/${id}` } as const
  const attributes = { mode: modeIn(options, SECRET_MODE), ...ownerIn(options) }
  const isRequired = isTrue(options, 'required')
  return {
    options,
    identity: nothing,
    ...(env === undefined || content === undefined
      ? {}
      : { environment: { [env]: Buffer.from(content).toString() } }),
    open: (work) => {
      if (content === undefined && isRequired) throw missing('secret', id)
      return work(
        content === undefined || !isFile ? undefined : { ...file, content, ...attributes },
      )
    },
  }
}

/** SSH_AUTH_SOCK is set by run-instruction.ts. */
function sshMount(stage: StageBuild, options: MountOptions): RunMount {
  const id = optionOf(options, 'id', 'source', 'src') ?? 'default'
  const source = valueIn(id, stage.build.input.ssh)
  const own = targetIn(options, stage.state.config.workingDir)
  const target = own ?? `/run/buildkit/ssh_agent.${id}`
  const isRequired = isTrue(options, 'required')
  return {
    options,
    identity: nothing,
    open: (work) => {
      if (source !== undefined) return work({ kind: 'socket', target, source })
      if (isRequired) throw missing('ssh agent', id)
      return work(undefined)
    },
  }
}

type Reader = (stage: StageBuild, options: MountOptions, owner: number) => RunMount

const KINDS: Readonly<Record<string, Reader>> = {
  bind: bindMount,
  cache: cacheMount,
  tmpfs: tmpfsMount,
  secret: secretMount,
  ssh: sshMount,
}

/**
 * @param owner - the host id that is root in the step
 * @throws {INVALID_ARGUMENT}
 */
export function readRunMounts(
  stage: StageBuild,
  { mounts, place }: Instruction & RunInstruction,
  owner: number,
): RunMount[] {
  return mounts.map((written) => {
    const options = Object.fromEntries(
      Object.entries(written).map(([name, value]) => [name, stage.expand(value, place)]),
    )
    const kind = options['type'] ?? 'bind'
    const read = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined
    if (read === undefined)
      throw new TsstackError('INVALID_ARGUMENT', `"--mount=type=${kind}" is none`, {
        hint: `Kinds are ${Object.keys(KINDS).join(', ')}`,
      })
    return read(stage, options, owner)
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
