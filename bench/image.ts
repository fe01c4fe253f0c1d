/** The one image that every engine gets: busybox, the probes, and iperf3 with its libraries where the machine has it. */
import { execa } from 'execa'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Probes } from './compile-probes.ts'

export const IMAGE_TAG = 'localhost/tsstack-bench:1'

export interface BenchImage {
  /** A docker-archive (as `docker save` writes). */
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
async function copyWithLibraries(
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

/** Docker image specification v1.2: a tar of manifest.json, the config and the layer. */
async function writeArchive(directory: string, tree: string): Promise<string> {
  const parts = path.join(directory, 'image-parts')
  mkdirSync(parts, { recursive: true })
  const layer = path.join(parts, 'layer.tar')
  await execa('tar', [
    '--create',
    '--numeric-owner',
    '--owner=0',
    '--group=0',
    '--file',
    layer,
    '--directory',
    tree,
    '.',
  ])
  const digest = createHash('sha256').update(readFileSync(layer)).digest('hex')
  const config = {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: { Env: ['PATH=/bin:/usr/bin'], Cmd: ['sh'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
  }
  writeFileSync(path.join(parts, 'config.json'), JSON.stringify(config))
  writeFileSync(
    path.join(parts, 'manifest.json'),
    JSON.stringify([{ Config: 'config.json', RepoTags: [IMAGE_TAG], Layers: ['layer.tar'] }]),
  )
  const archive = path.join(directory, 'image.tar')
  await execa('tar', [
    '--create',
    '--file',
    archive,
    '--directory',
    parts,
    'manifest.json',
    'config.json',
    'layer.tar',
  ])
  return archive
}
