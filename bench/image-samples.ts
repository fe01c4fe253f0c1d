/**
 * The images that are loaded, pulled and started: four layers, of more than 50 MB each, of what this machine's Debian
 * packages have installed (the base system first); and one of 120 layers.
 */
import { execa } from 'execa'
import { lstatSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import {
  PACKINGS,
  sha256Of,
  writeImageArchive,
  type LayerFile,
  type Packing,
} from './image-archive.ts'

const LAYER_BYTES = 50e6
const LAYERS = 4
const DEPTH = 120
export const DEEP_TAG = 'localhost/tsstack-deep:1'

export interface ImageSamples {
  /** Bytes of the tar files of the large image's layers. */
  readonly plainBytes: number
  /** The large image's layers, and archives of it, by how they are packed. */
  readonly layers: Readonly<Record<Packing, readonly LayerFile[]>>
  readonly archives: Readonly<Record<Packing, string>>
  /** Archive of the image of 120 layers. */
  readonly deep: string
}

export function largeTag(packing: Packing): string {
  return `localhost/tsstack-large:${packing}`
}

/** Needs zstd, and a machine of Debian's kind. @param base - the lowest layer of the deep image */
export async function makeSamples(directory: string, base: string): Promise<ImageSamples> {
  const home = path.join(directory, 'samples')
  mkdirSync(home, { recursive: true })
  const plain = await writeLayers(home)
  const layers = {
    none: plain,
    gzip: await pack(plain, 'gzip', ['gzip', '--keep', '--no-name']),
    zstd: await pack(plain, 'zstd', ['zstd', '--quiet', '-3']),
  }
  const archives = { none: '', gzip: '', zstd: '' }
  for (const packing of PACKINGS) {
    archives[packing] = path.join(home, `large-${packing}.tar`)
    await writeImageArchive(archives[packing], { tag: largeTag(packing), layers: layers[packing] })
  }
  const plainBytes = plain.reduce((sum, { file }) => sum + lstatSync(file).size, 0)
  return { plainBytes, layers, archives, deep: await writeDeep(home, base) }
}

/** Files of packages, one after another, until a layer has enough. */
async function writeLayers(home: string): Promise<LayerFile[]> {
  const packages = await installedPackages()
  const seen = new Set<string>()
  const layers: LayerFile[] = []
  while (layers.length < LAYERS && packages.length > 0) {
    const names: string[] = []
    let bytes = 0
    while (bytes < LAYER_BYTES && packages.length > 0) {
      const files = await filesOf(packages.shift() ?? '')
      const fresh = files.filter(({ name }) => !seen.has(name))
      for (const { name } of fresh) seen.add(name)
      names.push(...fresh.map(({ name }) => name))
      bytes += fresh.reduce((sum, { size }) => sum + size, 0)
    }
    layers.push(await writeLayer(path.join(home, `layer${layers.length}.tar`), names))
  }
  return layers
}

async function installedPackages(): Promise<string[]> {
  const priorities = ['required', 'important', 'standard']
  const { stdout } = await execa('dpkg-query', ['-W', '-f', '${Priority} ${binary:Package}\\n'])
  const packages = stdout.split('\n').map((line) => {
    const [priority = '', name = ''] = line.split(' ')
    const rank = priorities.indexOf(priority)
    return { name, rank: rank < 0 ? priorities.length : rank }
  })
  return packages.sort((a, b) => a.rank - b.rank).map(({ name }) => name)
}

async function filesOf(name: string): Promise<{ readonly name: string; readonly size: number }[]> {
  const { stdout } = await execa('dpkg-query', ['-L', name])
  return stdout.split('\n').flatMap((file) => {
    const stats = file.startsWith('/usr/') ? lstatSync(file, { throwIfNoEntry: false }) : undefined
    return stats === undefined
      ? []
      : [{ name: file.slice(1), size: stats.isFile() ? stats.size : 0 }]
  })
}

/** @param names - relative to the machine's root */
async function writeLayer(file: string, names: readonly string[]): Promise<LayerFile> {
  const input = `${names.join('\n')}\n`
  const words = ['--create', '--file', file, '--directory', '/', '--no-recursion']
  await execa('tar', [...words, '--numeric-owner', '--files-from', '-'], { input })
  return { file, diffId: sha256Of(file), packing: 'none' }
}

async function pack(
  plain: readonly LayerFile[],
  packing: 'gzip' | 'zstd',
  [program = '', ...words]: readonly string[],
): Promise<LayerFile[]> {
  const ending = packing === 'gzip' ? 'gz' : 'zst'
  return Promise.all(
    plain.map(async ({ file, diffId }) => {
      await execa(program, [...words, file])
      return { file: `${file}.${ending}`, diffId, packing }
    }),
  )
}

/** A file of its own in each layer, and one that each writes anew. */
async function writeDeep(home: string, base: string): Promise<string> {
  const layers: LayerFile[] = [{ file: base, diffId: sha256Of(base), packing: 'none' }]
  const tree = path.join(home, 'deep')
  mkdirSync(tree)
  while (layers.length < DEPTH) {
    const index = String(layers.length)
    writeFileSync(path.join(tree, 'last'), index)
    writeFileSync(path.join(tree, `file${index}`), index)
    const file = path.join(home, `deep${index}.tar`)
    const words = ['--create', '--file', file, '--directory', tree, 'last', `file${index}`]
    await execa('tar', words)
    layers.push({ file, diffId: sha256Of(file), packing: 'none' })
  }
  const archive = path.join(home, 'deep.tar')
  await writeImageArchive(archive, { tag: DEEP_TAG, layers })
  return archive
}
