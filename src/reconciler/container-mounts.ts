/** The `volumes`, `tmpfs`, `configs` and `secrets` of a service as the engine's mounts and files. */
import path from 'node:path'
import type {
  BindOwner,
  ContainerFile,
  ContainerMount,
  Propagation,
} from '../engine/container-config.ts'
import { imageReference } from '../planner/service-fields.ts'
import { parseBytes } from '../spec/bytes.ts'
import type { FileReference, Service, ServiceVolume } from '../spec/stack.ts'
import { parseTmpfs, type TmpfsMount } from '../spec/tmpfs.ts'
import { TsstackError } from '../errors.ts'
import type { ConversionInput } from './conversion-input.ts'

/** Explicit mounts first; the image's own volumes where nothing else is mounted. */
export function containerMounts(input: ConversionInput): ContainerMount[] {
  const { service, image } = input
  const own = [
    ...(service.volumes ?? []).map((volume) => mountOf(volume, input)),
    ...(service.tmpfs ?? []).map((text) => ({ kind: 'tmpfs' as const, ...tmpfsOf(text) })),
  ]
  const explicit = firstOfEachTarget([...own, ...borrowedMounts(input)])
  const taken = new Set(explicit.map((mount) => mount.target))
  const declared = image.config.volumes.filter((target) => !taken.has(target))
  const mounts = [...explicit, ...declared.map((target) => anonymousVolume(target, input))]
  const relative = mounts.find(({ target }) => !target.startsWith('/'))
  if (relative === undefined) return mounts
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot mount at "${relative.target}": it is not an absolute path`,
    /^\p{L}:/u.test(relative.target)
      ? { hint: 'A single letter is taken for a drive, as by Docker Compose: use a longer name' }
      : {},
  )
}

function firstOfEachTarget(mounts: readonly ContainerMount[]): ContainerMount[] {
  const first = new Map<string, ContainerMount>()
  for (const mount of mounts) if (!first.has(mount.target)) first.set(mount.target, mount)
  return [...first.values()]
}

/** `volumes_from`: `service[:ro|rw]` or `container:name[:ro|rw]`; the volumes and binds of that container. */
function borrowedMounts(input: Pick<ConversionInput, 'service' | 'mountsOf'>): ContainerMount[] {
  return (input.service.volumes_from ?? []).flatMap((text) => {
    const words = text.split(':')
    const mode = ['ro', 'rw'].includes(words.at(-1) ?? '') ? words.pop() : undefined
    const reference = words.length > 1 ? words.join(':') : `service:${words[0] ?? ''}`
    return input
      .mountsOf(reference)
      .filter((mount) => mount.kind !== 'tmpfs')
      .map((mount) =>
        mount.kind === 'image' ? mount : { ...mount, readOnly: mount.readOnly || mode === 'ro' },
      )
  })
}

/** Mount points that need a volume without a name: the caller makes one for each. */
export function anonymousTargets(
  input: Pick<ConversionInput, 'service' | 'image' | 'mountsOf'>,
): string[] {
  const volumes = input.service.volumes ?? []
  const taken = new Set([
    ...volumes.map((volume) => volume.target),
    ...(input.service.tmpfs ?? []).map((text) => tmpfsOf(text).target),
    ...borrowedMounts(input).map((mount) => mount.target),
  ])
  const explicit = volumes
    .filter((volume) => volume.type === 'volume' && volume.source === undefined)
    .map((volume) => volume.target)
  return [...explicit, ...input.image.config.volumes.filter((target) => !taken.has(target))]
}

function anonymousVolume(
  target: string,
  input: ConversionInput,
): ContainerMount & { readonly kind: 'volume' } {
  const volume = input.anonymousVolumes[target]
  if (volume === undefined)
    throw new TsstackError('INTERNAL', `Cannot mount "${target}": no volume was made for it`)
  return { kind: 'volume', target, volume, readOnly: false, noCopy: false }
}

function mountOf(volume: ServiceVolume, input: ConversionInput): ContainerMount {
  const { target } = volume
  const readOnly = volume.read_only ?? false
  switch (volume.type) {
    case 'bind':
      return {
        kind: 'bind',
        target,
        readOnly,
        source: volume.source ?? '',
        recursive: volume.bind?.recursive !== 'disabled',
        ...(volume.bind?.recursive === 'writable' ? { readOnlyBelow: false } : {}),
        propagation: propagationOf(volume.bind?.propagation),
        createSource: volume.bind?.create_host_path ?? true,
        ...bindOwner(input.service),
      }
    case 'volume': {
      const { subpath, nocopy = false } = volume.volume ?? {}
      const options = { readOnly, noCopy: nocopy, ...(subpath === undefined ? {} : { subpath }) }
      if (volume.source === undefined) return { ...anonymousVolume(target, input), ...options }
      const name = input.stack.volumes[volume.source]?.name ?? volume.source
      return { kind: 'volume', target, volume: name, ...options }
    }
    case 'tmpfs': {
      const { size, mode } = volume.tmpfs ?? {}
      const options = {
        ...(size === undefined ? {} : { size: String(parseBytes(size)) }),
        ...(mode === undefined ? {} : { mode: mode.toString(8) }),
      }
      return { kind: 'tmpfs', target, readOnly, options, noExec: true, noSuid: true, noDev: true }
    }
    case 'image':
      return imageMount(volume, input)
    case 'npipe':
    case 'cluster':
      throw new TsstackError(
        'UNIMPLEMENTED',
        `Cannot mount "${target}": volumes of type "${volume.type}" are not supported`,
      )
  }
}

/** `x-tsstack.owner`: `folder`, `UID` or `UID:GID`. */
function bindOwner(service: Service): { readonly owner?: BindOwner } {
  const text = service['x-tsstack']?.owner
  if (text === undefined) return {}
  if (text === 'folder') return { owner: text }
  const [uid = '', gid = uid] = text.split(':')
  return { owner: { uid: Number(uid), gid: Number(gid) } }
}

function imageMount(
  { target, source = '', image: options }: ServiceVolume,
  { stack, mountedImages }: ConversionInput,
): ContainerMount {
  const reference = imageReference(stack, source)
  const image = mountedImages[reference]
  if (image === undefined)
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot mount image "${reference}" at "${target}": it was not looked up`,
    )
  return {
    kind: 'image',
    target,
    image: { reference, id: image.id },
    ...(options?.subpath === undefined ? {} : { subpath: options.subpath }),
    readOnly: true,
  }
}

/** `rshared` and `shared` differ for what is mounted below; here either is for all of it. */
function propagationOf(text = 'private'): Propagation {
  const [mode] = /private|slave|shared/.exec(text) ?? []
  return (mode ?? 'private') as Propagation
}

/** @throws {INVALID_ARGUMENT} */
function tmpfsOf(text: string): TmpfsMount {
  const mount = parseTmpfs(text)
  if (typeof mount !== 'string') return mount
  throw new TsstackError('INVALID_ARGUMENT', `Cannot mount tmpfs "${text}": ${mount}`)
}

/** Configs and secrets; external ones have no content here and are refused earlier. */
export function containerFiles(input: ConversionInput): ContainerFile[] {
  const { service, contentDigests } = input
  const configs = (service.configs ?? []).map((reference) =>
    fileOf(reference, contentDigests.configs, `/${reference.source}`, '/'),
  )
  const secrets = (service.secrets ?? []).map((reference) =>
    fileOf(reference, contentDigests.secrets, `/run/secrets/${reference.source}`, '/run/secrets'),
  )
  return [...configs, ...secrets]
}

function fileOf(
  reference: FileReference,
  digests: Readonly<Record<string, string>>,
  defaultTarget: string,
  base: string,
): ContainerFile {
  const digest = digests[reference.source]
  if (digest === undefined) {
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot mount "${reference.source}": it is external and this engine has no store for it`,
      {
        hint: 'Give the config or secret a "file:", "content:" or "environment:"',
      },
    )
  }
  return {
    target:
      reference.target === undefined ? defaultTarget : path.posix.resolve(base, reference.target),
    digest,
    mode: reference.mode === undefined ? 0o444 : parseInt(reference.mode, 8),
    uid: Number(reference.uid ?? 0),
    gid: Number(reference.gid ?? 0),
  }
}
