/**
 * Directories of `RUN --mount=type=cache`, kept from build to build:
 *
 *   <state>/build-mounts/<sha256 of the id>/    its name says nothing of what a Dockerfile calls it
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { directorySize } from '../volumes/directory-size.ts'
import type { Context } from './context.ts'

function rootOf({ directories }: Context): string {
  return path.join(path.dirname(directories.containers), 'build-mounts')
}

function all(context: Context): string[] {
  const root = rootOf(context)
  return existsSync(root) ? readdirSync(root).map((name) => path.join(root, name)) : []
}

/** Made if it is missing. @returns its path */
export function buildMount(context: Context, id: string): string {
  const directory = path.join(rootOf(context), createHash('sha256').update(id).digest('hex'))
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  return directory
}

/** Looks at every file. */
export async function buildMountSizes(context: Context): Promise<number[]> {
  return Promise.all(all(context).map((directory) => directorySize(directory)))
}

/** For when no build runs. @returns bytes that came free */
export async function removeBuildMounts(context: Context): Promise<number> {
  const sizes = await buildMountSizes(context)
  for (const directory of all(context)) await rm(directory, { recursive: true, force: true })
  return sizes.reduce((total, size) => total + size, 0)
}
