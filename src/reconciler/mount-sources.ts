/** Where the mounts of a container lie on the host; volumes are made, binds checked, empty volumes seeded. */
import { closeSync, mkdirSync, statSync } from 'node:fs'
import path from 'node:path'
import type { ContainerMount } from '../engine/container-config.ts'
import type { ContainerRoot } from '../engine/container-root.ts'
import type { MountSource } from '../engine/root-file-system.ts'
import { O_DIRECTORY, Open, AT_FDCWD } from '../kernel/constants.ts'
import { openConfined, RESOLVE, tryOpenConfined } from '../kernel/file-calls.ts'
import { TsstackError } from '../errors.ts'
import type { Context } from './context.ts'
import type { ContainerRecord } from './records.ts'

/** @param ids.offset host id of the container's root */
export async function openSources(
  context: Context,
  record: ContainerRecord,
  ids: { readonly root: ContainerRoot; readonly offset: number },
): Promise<MountSource[]> {
  const sources: MountSource[] = []
  for (const mount of record.config.mounts) {
    if (mount.kind === 'tmpfs') sources.push({ mount })
    else if (mount.kind === 'bind') sources.push({ mount, path: bindSource(mount) })
    else sources.push({ mount, path: await volumeSource(context, record, { mount, ...ids }) })
  }
  return sources
}

function bindSource(mount: ContainerMount & { kind: 'bind' }): string {
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
    mkdirSync(mount.source, { recursive: true })
  }
  return mount.source
}

interface VolumeMountRequest {
  readonly mount: ContainerMount & { kind: 'volume' }
  readonly root: ContainerRoot
  readonly offset: number
}

async function volumeSource(
  context: Context,
  record: ContainerRecord,
  request: VolumeMountRequest,
): Promise<string> {
  const { mount } = request
  await context.volumes.create(mount.volume)
  if (!record.seeded && !mount.noCopy) await seed(context, request)
  const data = context.volumes.dataPath(mount.volume)
  if (mount.subpath === undefined) return data
  return confinedPath(data, mount.subpath)
}

async function seed(context: Context, { mount, root, offset }: VolumeMountRequest): Promise<void> {
  const flags = Open.PATH | O_DIRECTORY
  const source = tryOpenConfined(root.fd, mount.target, { flags, resolve: RESOLVE.IN_ROOT })
  if (source < 0) return
  try {
    await context.volumes.seed(mount.volume, `/proc/self/fd/${source}`, offset)
  } finally {
    closeSync(source)
  }
}

/** A subpath that leaves the volume, by `..` or by a symlink that a container put there, is refused. */
function confinedPath(data: string, subpath: string): string {
  const root = openConfined(AT_FDCWD, data, { flags: Open.PATH | O_DIRECTORY, resolve: 0 })
  try {
    const fd = tryOpenConfined(root, path.posix.normalize(subpath), {
      flags: Open.PATH,
      resolve: RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS,
    })
    if (fd < 0)
      throw new TsstackError(
        'NOT_FOUND',
        `Cannot mount subpath "${subpath}": it is not a plain path of the volume`,
      )
    closeSync(fd)
    return path.join(data, subpath)
  } finally {
    closeSync(root)
  }
}
