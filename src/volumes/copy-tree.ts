import { constants } from 'node:fs'
import {
  chmod,
  copyFile,
  lchown,
  lstat,
  lutimes,
  mkdir,
  readdir,
  readlink,
  symlink,
} from 'node:fs/promises'
import path from 'node:path'

const RANGE = 65_536
/** A directory that is given by its descriptor; what lies below it has an ordinary path. */
const DESCRIPTOR = /^\/proc\/self\/fd\/\d+$/

/**
 * Copies a directory tree with ids, modes and times; symlinks stay symlinks, devices, sockets and fifos are left out.
 * @param idOffset subtracted from ids within offset..offset+65535, so that shifted ids become plain ones
 */
export async function copyTree(source: string, target: string, idOffset: number): Promise<void> {
  const stat = await lstat(DESCRIPTOR.test(source) ? `${source}/.` : source)
  if (stat.isDirectory()) {
    await mkdir(target)
    for (const name of await readdir(source))
      await copyTree(path.join(source, name), path.join(target, name), idOffset)
  } else if (stat.isSymbolicLink()) await symlink(await readlink(source), target)
  else if (stat.isFile())
    await copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
  else return
  const plain = (id: number): number =>
    id >= idOffset && id < idOffset + RANGE ? id - idOffset : id
  await lchown(target, plain(stat.uid), plain(stat.gid))
  if (!stat.isSymbolicLink()) await chmod(target, stat.mode & 0o7777)
  await lutimes(target, stat.atime, stat.mtime)
}
