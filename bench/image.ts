/** The one image that every engine gets: busybox, the probes, and iperf3 with its libraries where the machine has it. */
import { execa } from 'execa'
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Probes } from './compile-probes.ts'
import { sha256Of, writeImageArchive } from './image-archive.ts'

export const IMAGE_TAG = 'localhost/tsstack-bench:1'

export interface BenchImage {
  /** As image-archive.ts writes it. */
  readonly archive: string
  /** Its files, unpacked. */
  readonly tree: string
  /** Runs its iperf3 from outside of a container; empty without one. */
  readonly iperf: readonly string[]
}

/** Needs a statically linked busybox (Debian: busybox-static). */
export async function buildImage(directory: string, probes: Probes): Promise<BenchImage> {
  const tree = path.join(directory, 'image-tree')
  for (const name of ['bin', 'proc', 'dev', 'sys', 'tmp', 'etc', 'root'])
    mkdirSync(path.join(tree, name), { recursive: true })
  const busybox = path.join(tree, 'bin/busybox')
  copyFileSync('/bin/busybox', busybox)
  await execa(busybox, ['--install', '-s', path.join(tree, 'bin')])
  await execa('sh', [
    '-c',
    'for l in "$0"/bin/*; do [ -L "$l" ] && ln -sf busybox "$l"; done; :',
    tree,
  ])
  writeFileSync(path.join(tree, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
  for (const name of ['log-lines', 'dns-latency', 'tick'] as const)
    copyFileSync(probes[name], path.join(tree, 'bin', name))
  const iperf = (await copyWithLibraries('/usr/bin/iperf3', tree)) ?? []
  return { archive: await writeArchive(directory, tree), tree, iperf }
}

/**
 * @returns the words that run the copy where it lies, whatever libraries the system around it has (man 8 ld.so); undefined
 * when the machine lacks the program
 */
export async function copyWithLibraries(
  program: string,
  tree: string,
): Promise<readonly string[] | undefined> {
  if (!existsSync(program)) return undefined
  const { stdout } = await execa('ldd', [program])
  const libraries = [...stdout.matchAll(/(\/[^ ]+) \(0x/g)].map((match) => match[1] ?? '')
  for (const file of [program, ...libraries]) {
    const target = path.join(tree, file)
    mkdirSync(path.dirname(target), { recursive: true })
    copyFileSync(file, target)
  }
  const loader = libraries.find((file) => path.basename(file).startsWith('ld-')) ?? ''
  const directories = new Set(libraries.map((file) => path.join(tree, path.dirname(file))))
  return [
    path.join(tree, loader),
    '--library-path',
    [...directories].join(':'),
    path.join(tree, program),
  ]
}

async function writeArchive(directory: string, tree: string): Promise<string> {
  const layer = path.join(directory, 'layer.tar')
  const owner = ['--numeric-owner', '--owner=0', '--group=0']
  await execa('tar', ['--create', ...owner, '--file', layer, '--directory', tree, '.'])
  const archive = path.join(directory, 'image.tar')
  const layers = [{ file: layer, diffId: sha256Of(layer), packing: 'none' as const }]
  await writeImageArchive(archive, { tag: IMAGE_TAG, layers })
  return archive
}
