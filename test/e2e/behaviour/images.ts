/** The images that scenarios ask for, made from programs of this machine, under the names that they ask for. */
import { createHash } from 'node:crypto'
import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import type { CommandLine } from '../command-line.ts'

/** A static busybox stands for Alpine, bash and the like. */
export const BUSYBOX = '/bin/busybox'
const SMALL = ['alpine', 'busybox', 'bash']
/** What collects logs in the scenarios: there it only has to run. */
const COLLECTOR = ['fluent/fluent-bit:3.1.7-debug']

/** Loads all of them into the store. Needs busybox-static, nginx-light and curl. */
export async function loadImages(cli: CommandLine, directory: string): Promise<void> {
  const small = path.join(directory, 'small')
  await makeBusyboxTree(small)
  const command = ['/bin/sh']
  await load(cli, { tree: small, names: SMALL, command, directory })
  const collector = path.join(directory, 'collector')
  cpSync(small, collector, { recursive: true, verbatimSymlinks: true })
  const idle = ['/bin/sleep', 'infinity']
  await load(cli, { tree: collector, names: COLLECTOR, command: idle, directory })
  const nginx = path.join(directory, 'nginx')
  cpSync(small, nginx, { recursive: true, verbatimSymlinks: true })
  await addNginx(nginx)
  await load(cli, {
    tree: nginx,
    names: ['nginx'],
    command: ['nginx', '-g', 'daemon off;'],
    directory,
  })
}

async function makeBusyboxTree(tree: string): Promise<void> {
  for (const name of ['bin', 'usr/bin', 'sbin', 'usr/sbin', 'etc', 'tmp', 'root', 'var/log'])
    mkdirSync(path.join(tree, name), { recursive: true })
  copyFileSync(BUSYBOX, path.join(tree, 'bin/busybox'))
  const { stdout } = await execa(BUSYBOX, ['--list-full'])
  const applets = stdout.split('\n').filter((file) => file !== 'bin/busybox' && file !== 'linuxrc')
  const links = applets.map((file) => `ln -sf /bin/busybox "$0/${file}"`).join('\n')
  await execa('sh', ['-c', links, tree])
  await addPrograms(tree, ['/usr/bin/printenv']) // Debian's busybox has none
  writeFileSync(
    path.join(tree, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n',
  )
  writeFileSync(path.join(tree, 'etc/group'), 'root:x:0:\nwww-data:x:33:\n')
}

/** nginx and curl, and the page by which people know it. */
async function addNginx(tree: string): Promise<void> {
  await addPrograms(tree, ['/usr/sbin/nginx', '/usr/bin/curl'])
  for (const name of ['etc/nginx', 'var/lib/nginx', 'var/log/nginx', 'run'])
    mkdirSync(path.join(tree, name), { recursive: true })
  const page = 'http { server { listen 80; location / { return 200 "Welcome to nginx!"; } } }'
  writeFileSync(path.join(tree, 'etc/nginx/nginx.conf'), `user root;\nevents {}\n${page}\n`)
}

/** Programs of this machine with their libraries. */
async function addPrograms(tree: string, programs: readonly string[]): Promise<void> {
  const libraries = await Promise.all(programs.map(librariesOf))
  const files = [...new Set([...programs, ...libraries.flat()])].map((file) => file.slice(1))
  await execa('sh', ['-c', 'tar -C / -chf - -T - | tar -C "$0" -xf -', tree], {
    input: files.join('\n'),
  })
}

async function librariesOf(program: string): Promise<string[]> {
  const { stdout } = await execa('ldd', [program])
  return [...stdout.matchAll(/(\/[^ ]+) \(0x/g)].map((match) => match[1] ?? '')
}

interface Wanted {
  readonly tree: string
  readonly names: readonly string[]
  readonly command: readonly string[]
  readonly directory: string
}

/** Docker image specification v1.2. */
async function load(cli: CommandLine, { tree, names, command, directory }: Wanted): Promise<void> {
  const parts = `${tree}-parts`
  mkdirSync(parts)
  const layer = path.join(parts, 'layer.tar')
  await execa('tar', ['--numeric-owner', '--owner=0', '--group=0', '-cf', layer, '-C', tree, '.'])
  const digest = createHash('sha256').update(readFileSync(layer)).digest('hex')
  const config = {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: {
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      Cmd: command,
    },
    rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
  }
  writeFileSync(path.join(parts, 'config.json'), JSON.stringify(config))
  const tags = names.map((name) => (name.includes(':') ? name : `${name}:latest`))
  const manifest = [{ Config: 'config.json', RepoTags: tags, Layers: ['layer.tar'] }]
  writeFileSync(path.join(parts, 'manifest.json'), JSON.stringify(manifest))
  const archive = path.join(directory, `${path.basename(tree)}.tar`)
  await execa('tar', ['-cf', archive, '-C', parts, 'manifest.json', 'config.json', 'layer.tar'])
  await cli.ok(['image', 'load', '--input', archive])
}
