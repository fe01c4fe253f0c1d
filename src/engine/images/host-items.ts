/**
 * What the words of a `host:` reference mean. In this order: an absolute path; a known group of programs; a program on
 * the PATH; a Debian package that is installed. `pkg:NAME` forces the last.
 */
import fs from 'node:fs'
import path from 'node:path'
import { TsstackError } from '../../errors.ts'
import { followPath, versionOf, lstatIfThere } from './host-file.ts'
import type { HostTree } from './host-tree.ts'
import type { PackageDatabase } from './host-packages.ts'
import { createPacer } from './pacer.ts'
import type { HostItem } from './reference.ts'

/** Where programs of a distribution are: looked at before the daemon's own PATH. */
const SYSTEM_DIRECTORIES = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
]

/** GNU coreutils 9, less what makes no sense in a container (chroot helpers and the like stay: they are small). */
const COREUTILS =
  '[ arch b2sum base32 base64 basename basenc cat chcon chgrp chmod chown chroot cksum comm cp csplit cut date dd df ' +
  'dir dircolors dirname du echo env expand expr factor false fmt fold groups head hostid id install join link ln ' +
  'logname ls md5sum mkdir mkfifo mknod mktemp mv nice nl nohup nproc numfmt od paste pathchk pinky pr printenv ' +
  'printf ptx pwd readlink realpath rm rmdir runcon seq sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf ' +
  'sleep sort split stat stdbuf stty sum sync tac tail tee test timeout touch tr true truncate tsort tty uname ' +
  'unexpand uniq unlink uptime users vdir wc who whoami yes'

/** Groups by name; a program that the host lacks is left out. */
const GROUPS: Readonly<Record<string, readonly string[]>> = { coreutils: COREUTILS.split(' ') }

/** Documentation, translations and what belongs to an init system: of no use in a container. */
const LEFT_OUT =
  /^\/usr\/share\/(?:doc|doc-base|man|info|lintian|locale|bug)(?:\/|$)|^(?:\/usr)?\/lib\/systemd\/|^\/etc\/(?:init\.d|rc\w\.d|systemd)\//

/** The whole host, or what is no file at all. */
const REFUSED = /^\/(?:(?:proc|sys|dev|run)(?:\/.*)?)?$/

export interface ProgramSearch {
  readonly find: (name: string) => string | undefined
  readonly directories: readonly string[]
}

function isProgram(file: string): boolean {
  try {
    const stats = fs.statSync(file)
    return stats.isFile() && (stats.mode & 0o111) !== 0
  } catch {
    return false
  }
}

/** @param environmentPath - the PATH variable; relative entries are ignored */
export function createProgramSearch(environmentPath: string): ProgramSearch {
  const own = environmentPath.split(':').filter((directory) => directory.startsWith('/'))
  const directories = [...new Set([...SYSTEM_DIRECTORIES, ...own])]
  return {
    directories,
    find(name) {
      const found = directories.map((directory) => path.join(directory, name)).find(isProgram)
      // A host whose only Node is the one that runs this.
      return found ?? (name === 'node' ? process.execPath : undefined)
    },
  }
}

export interface ItemContext {
  readonly programs: ProgramSearch
  readonly packages: PackageDatabase
}

/** A program elsewhere than in a system directory (a version manager's) appears in /usr/local/bin. */
function addProgram(tree: HostTree, name: string, file: string): void {
  if (SYSTEM_DIRECTORIES.includes(path.dirname(file))) {
    tree.addPath(file, { strict: true })
    return
  }
  const end = followPath(file)?.end
  if (end !== undefined) tree.addCopy(end, `/usr/local/bin/${name}`)
}

async function addPackage(
  tree: HostTree,
  name: string,
  packages: PackageDatabase,
): Promise<boolean> {
  const pacer = createPacer()
  const found = packages.find(name)
  for (const installed of found) {
    tree.inputs.set(installed.listFile, versionOf(lstatIfThere(installed.listFile)))
    for (const file of installed.files) {
      if (LEFT_OUT.test(file)) continue
      await pacer.breathe()
      const end = followPath(file)?.end
      const isSecret = end?.stats.isFile() === true && (end.stats.mode & 0o004n) === 0n
      const isConffile = installed.conffiles.has(file)
      if (!isSecret) tree.addPath(file, { allowEtc: true, managed: !isConffile })
    }
  }
  return found.length > 0
}

async function addAbsolutePath(tree: HostTree, file: string): Promise<void> {
  const end = followPath(file)?.end
  if (end === undefined) {
    throw new TsstackError('NOT_FOUND', `Cannot assemble host image: "${file}" does not exist`)
  }
  if (REFUSED.test(end.path)) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot assemble host image: "${file}" is not a directory of files`,
    )
  }
  if (tree.addPath(file, { allowEtc: true, strict: true }) === undefined) {
    const hint = 'Mount it as a secret instead'
    throw new TsstackError(
      'PERMISSION_DENIED',
      `Cannot assemble host image: "${file}" is not readable by all`,
      { hint },
    )
  }
  if (end.stats.isDirectory()) await tree.addDirectory(end.path, { allowEtc: true })
}

function notFound({ kind, value }: HostItem): TsstackError {
  const what =
    kind === 'package' ? 'an installed package' : 'a program on the PATH or an installed package'
  return new TsstackError('NOT_FOUND', `Cannot assemble host image: "${value}" is not ${what}`, {
    hint: `Install it on this host, for example: apt-get install ${value}`,
  })
}

/**
 * Adds to a tree what an item stands for, without what that needs.
 * @throws {NOT_FOUND} if nothing of that name is on the host
 */
export async function addItem(tree: HostTree, item: HostItem, context: ItemContext): Promise<void> {
  if (item.kind === 'path') {
    await addAbsolutePath(tree, item.value)
    return
  }
  const group = item.kind === 'name' ? GROUPS[item.value] : undefined
  if (group !== undefined) {
    const pacer = createPacer()
    for (const name of group) {
      await pacer.breathe()
      const file = context.programs.find(name)
      if (file !== undefined) addProgram(tree, name, file)
    }
    return
  }
  const program = item.kind === 'name' ? context.programs.find(item.value) : undefined
  if (program !== undefined) addProgram(tree, item.value, program)
  else if (!(await addPackage(tree, item.value, context.packages))) throw notFound(item)
}
