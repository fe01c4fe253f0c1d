/**
 * The lowest layer of every host: image: the directories and files that programs take for granted, the C library with
 * its loader and name services, certificates, a UTF-8 locale and terminal descriptions.
 */
import path from 'node:path'
import type { LayerEntry } from './layer-entry.ts'
import type { HostTree } from './host-tree.ts'
import { followPath, lstatIfThere } from './host-file.ts'

const ROOT = { uid: 0, gid: 0, mtime: 0 }

const DIRECTORIES: readonly (readonly [path: string, mode: number])[] = [
  ['', 0o755], ['dev', 0o755], ['etc', 0o755], ['home', 0o755], ['proc', 0o755], ['root', 0o700], ['run', 0o755],
  ['sys', 0o755], ['tmp', 0o1777], ['usr', 0o755], ['usr/bin', 0o755], ['usr/lib', 0o755], ['usr/local', 0o755],
  ['usr/local/bin', 0o755], ['usr/sbin', 0o755], ['var', 0o755], ['var/tmp', 0o1777],
] // prettier-ignore

/** Empty files are where the engine mounts its own. */
const FILES: readonly (readonly [path: string, content: string])[] = [
  ['etc/hosts', ''],
  ['etc/hostname', ''],
  ['etc/resolv.conf', ''],
  ['etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n'],
  ['etc/os-release', 'NAME="tsstack host image"\nID=tsstack\nPRETTY_NAME="tsstack host image"\n'],
] // prettier-ignore

/** The links of a merged /usr, or the directories of a host without; whichever this host has. */
const TOP_LEVEL = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/var/run']

/** Opened by dlopen(3) in the C library, so that no header names them. */
const LIBRARIES = [
  'libc.so.6',
  'libnss_files.so.2',
  'libnss_dns.so.2',
  'libresolv.so.2',
  'libgcc_s.so.1',
]

const LIBRARY_DIRECTORIES = [
  '/lib/x86_64-linux-gnu',
  '/lib/aarch64-linux-gnu',
  '/lib64',
  '/lib',
  '/usr/lib64',
  '/usr/lib',
]

const TERMINALS = [
  'xterm',
  'xterm-256color',
  'linux',
  'screen',
  'screen-256color',
  'tmux',
  'tmux-256color',
  'vt100',
  'dumb',
]

const TERMINFO_DIRECTORIES = [
  '/lib/terminfo',
  '/usr/lib/terminfo',
  '/usr/share/terminfo',
  '/etc/terminfo',
]

const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt'
const LOCALE = '/usr/lib/locale/C.utf8'

function addTopLevel(tree: HostTree): void {
  for (const name of TOP_LEVEL) {
    const stats = lstatIfThere(name)
    if (stats?.isSymbolicLink() === true) tree.addPath(name)
  }
}

function addFirst(tree: HostTree, candidates: readonly string[]): void {
  const found = candidates.find((file) => followPath(file)?.end !== undefined)
  if (found !== undefined) tree.addPath(found, { allowEtc: true })
}

/** Adds the skeleton; the accounts are the caller's. */
export async function addSkeleton(tree: HostTree, accounts: readonly LayerEntry[]): Promise<void> {
  for (const [name, mode] of DIRECTORIES) {
    // A host without a merged /usr may have it otherwise; ours are real directories in any case.
    tree.addEntry({ ...ROOT, type: 'directory', path: name, mode })
  }
  for (const [name, text] of FILES) {
    tree.addEntry({ ...ROOT, type: 'content', path: name, mode: 0o644, content: Buffer.from(text) })
  }
  for (const entry of accounts) tree.addEntry(entry)
  addTopLevel(tree)
  for (const name of LIBRARIES) {
    addFirst(
      tree,
      LIBRARY_DIRECTORIES.map((directory) => path.join(directory, name)),
    )
  }
  for (const name of TERMINALS) {
    addFirst(
      tree,
      TERMINFO_DIRECTORIES.map((directory) => path.join(directory, name.slice(0, 1), name)),
    )
  }
  tree.addPath(CERTIFICATES, { allowEtc: true })
  if (tree.addPath(LOCALE) === LOCALE) await tree.addDirectory(LOCALE)
}
