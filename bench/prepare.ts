/**
 * Puts the peers beside the machine, not onto it: `node bench/prepare.ts DIRECTORY` makes one Debian system a release
 * there, with Docker, Podman and their Compose tools of that release in it. `bench/run.ts --trees DIRECTORY` measures
 * them in namespaces of their own. Needs debootstrap and a Debian mirror, the one that this machine's apt uses.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { debianMirror } from '../scripts/debian-mirror.ts'

const COMMON =
  'ca-certificates,docker.io,docker-compose,containerd,runc,iptables,iproute2,procps,wrk'
const RELEASES = {
  trixie: `${COMMON},docker-cli,docker-buildx,podman,podman-compose,crun,skopeo,netavark,aardvark-dns,nftables`,
  bookworm: COMMON,
}

async function makeTree(directory: string, release: string, packages: string): Promise<void> {
  const tree = path.join(directory, release)
  if (existsSync(tree)) return
  const unfinished = `${tree}.unfinished`
  rmSync(unfinished, { recursive: true, force: true })
  const words = [
    '--variant=minbase',
    `--include=${packages}`,
    release,
    unfinished,
    await debianMirror(),
  ]
  await execa('debootstrap', words, { stdout: 'inherit', stderr: 'inherit' })
  renameSync(unfinished, tree)
}

const [directory] = process.argv.slice(2)
if (directory === undefined) throw new Error('usage: node bench/prepare.ts DIRECTORY')
mkdirSync(directory, { recursive: true })
for (const [release, packages] of Object.entries(RELEASES))
  await makeTree(path.resolve(directory), release, packages)
