/** What lies behind the mounts of a container: volumes are made, binds checked, empty volumes seeded. */
import { chmodSync, fstatSync, mkdirSync, statSync } from 'node:fs'
import path from 'node:path'
import type { ContainerMount } from '../engine/container-config.ts'
import type { ContainerRoot } from '../engine/container-root.ts'
import { openLocation, type MountSource } from '../engine/host-mount.ts'
import { clonePart } from '../engine/layer-mounts.ts'
import type { StackUserNamespace } from '../engine/user-namespace.ts'
import { O_DIRECTORY, Open, AT_FDCWD } from '../kernel/constants.ts'
import type { FdScope } from '../kernel/fd-scope.ts'
import { openConfined, RESOLVE, tryOpenConfined } from '../kernel/file-calls.ts'
import { volumeSourceOf, type VolumeSource } from '../volumes/volume-source.ts'
import { TsstackError } from '../errors.ts'
import { openBindOwner } from './bind-owner.ts'
import type { Context } from './context.ts'
import { imageSource } from './image-mounts.ts'
import type { ContainerRecord } from './records.ts'
import { seedForeignDirectory, seedVolume } from './seed-volume.ts'
import { requireVolume } from './volume-admin.ts'

export interface SourceOptions {
  readonly root: ContainerRoot
  readonly userns: StackUserNamespace | undefined
  /** Owns the descriptors among the sources. */
  readonly scope: FdScope
}

/** @throws {TsstackError} naming the mount that can't be made */
export async function openSources(
  context: Context,
  record: ContainerRecord,
  options: SourceOptions,
): Promise<MountSource[]> {
  const sources: MountSource[] = []
  for (const mount of record.config.mounts) {
    if (mount.kind === 'tmpfs') sources.push({ mount })
    else if (mount.kind === 'bind') sources.push(bindSource(mount, options))
    else if (mount.kind === 'image')
      sources.push(await imageSource(context, record, { mount, ...options }))
    else sources.push(await volumeSource(context, record, { mount, ...options }))
  }
  return sources
}

function bindSource(
  mount: ContainerMount & { kind: 'bind' },
  { userns, scope }: SourceOptions,
): MountSource {
  requireSource(mount)
  const { source, owner } = mount
  const start = userns?.range.start ?? 0
  const idMap = owner === undefined ? undefined : openBindOwner(owner, source, { start, scope })
  return { mount, path: source, ...(idMap === undefined ? {} : { idMap }) }
}

function requireSource(mount: ContainerMount & { kind: 'bind' }): void {
  try {
    statSync(mount.source)
  } catch (error) {
    if (!mount.createSource) {
      throw new TsstackError(
        'NOT_FOUND',
        `Cannot mount "${mount.source}" at "${mount.target}": it does not exist`,
        {
          cause: error,
          hint: 'Create it, or set "bind.create_host_path: true"',
        },
      )
    }
    makeDirectories(mount.source)
  }
}

/** For users of the container other than root, too (moby: MkdirAllAndChown), whatever the daemon's umask is. */
function makeDirectories(directory: string): void {
  const first = mkdirSync(directory, { recursive: true })
  if (first === undefined) return
  for (let made = path.resolve(directory); made.length >= first.length; made = path.dirname(made))
    chmodSync(made, 0o755)
}

interface VolumeRequest extends SourceOptions {
  readonly mount: ContainerMount & { kind: 'volume' }
}

async function volumeSource(
  context: Context,
  record: ContainerRecord,
  request: VolumeRequest,
): Promise<MountSource> {
  const { mount } = request
  const { options } = requireVolume(context, mount.volume, 'mount')
  if (options !== undefined) return sourceWithOptions(context, record, { ...request, options })
  await context.volumes.create(mount.volume)
  if (!record.seeded && !mount.noCopy) await seedVolume(context, request)
  return atSubpath(context, { mount, path: context.volumes.dataPath(mount.volume) }, request)
}

async function sourceWithOptions(
  context: Context,
  record: ContainerRecord,
  request: VolumeRequest & { readonly options: Readonly<Record<string, string>> },
): Promise<MountSource> {
  const { mount, options, scope } = request
  const { volume } = mount
  const source = volumeSourceOf(volume, options)
  const readOnly = source.readOnly || mount.readOnly
  if (source.kind === 'bind') {
    const shown = { ...mount, readOnly }
    if (statSync(source.path, { throwIfNoEntry: false }) === undefined)
      throw new TsstackError(
        'NOT_FOUND',
        `Cannot mount volume "${volume}": its device "${source.path}" does not exist`,
        { hint: 'Create the directory, or correct "driver_opts.device"' },
      )
    const place = scope.add(openLocation(source.path))
    if (fstatSync(place).isDirectory())
      await seedUnlessFilled(context, record, { request, source, place })
    return atSubpath(context, { mount: shown, path: source.path }, request)
  }
  const { fd, plainFd } = await context.volumeMounts.open({ volume, source, container: record.id })
  scope.add(fd)
  await seedUnlessFilled(context, record, { request, source, place: plainFd })
  return atSubpath(context, { mount: { ...mount, readOnly }, detached: { fd, plainFd } }, request)
}

/** Memory is empty whenever it is mounted; what is read-only, or a part, is taken as it is. */
async function seedUnlessFilled(
  context: Context,
  { seeded }: ContainerRecord,
  {
    request,
    source,
    place,
  }: { readonly request: VolumeRequest; readonly source: VolumeSource; readonly place: number },
): Promise<void> {
  const { mount } = request
  const isMemory = source.kind === 'file-system' && source.type === 'tmpfs'
  if (seeded || mount.noCopy || isMemory || source.readOnly || mount.subpath !== undefined) return
  await seedForeignDirectory(context, place, request)
}

/**
 * A subpath that leaves the volume, by `..` or by a symlink that a container put there, is refused. From then on the
 * place is known by its descriptor: what a container renames meanwhile does not matter.
 */
function atSubpath(
  context: Context,
  source: MountSource,
  { mount, scope }: VolumeRequest,
): MountSource {
  if (mount.subpath === undefined) return source
  const { detached, path: directory = '' } = source
  const flags = Open.PATH
  const root =
    detached?.fd ??
    scope.add(openConfined(AT_FDCWD, directory, { flags: flags | O_DIRECTORY, resolve: 0 }))
  const resolve = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS
  const place = tryOpenConfined(root, path.posix.normalize(mount.subpath), { flags, resolve })
  if (place < 0)
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot mount subpath "${mount.subpath}" of volume "${mount.volume}": it is not a plain path of the volume`,
    )
  scope.add(place)
  if (detached === undefined) return { ...source, path: `/proc/self/fd/${place}` }
  const part = clonePart(root, place, context.directories.layers)
  return { ...source, detached: { fd: scope.add(part) } }
}
