/**
 * Where the dynamic loader finds a library (man 8 ld.so): DT_RPATH, DT_RUNPATH, the cache of ldconfig, the directories
 * of /etc/ld.so.conf, the default ones. musl's loader has no cache; its path file is read instead.
 */
import fs from 'node:fs'
import path from 'node:path'
import { readElf, type ElfFile } from './elf.ts'

export interface LibrarySearch {
  /**
   * The path of a library as the loader would open it, symlinks not resolved; undefined if there is none of the
   * machine and word size of the program.
   * @param origin - the real directory of the file that needs it, for `$ORIGIN`
   * @param inherited - DT_RPATHs of the files that led here, `$ORIGIN` already expanded
   */
  find(name: string, needer: ElfFile, options: FindOptions): FoundLibrary | undefined
}

export interface FindOptions {
  readonly origin: string
  readonly inherited: readonly string[]
}

export interface FoundLibrary {
  readonly path: string
  /** The loader needs no cache file and no environment to find it: by rpath, or in a default directory. */
  readonly builtIn: boolean
}

const CACHE_MAGIC = 'glibc-ld.so.cache1.1'
const MAX_CACHE_BYTES = 64 << 20
const MAX_CONF_FILES = 1000

function readIfThere(file: string): Buffer | undefined {
  try {
    return fs.statSync(file).size > MAX_CACHE_BYTES ? undefined : fs.readFileSync(file)
  } catch {
    return undefined
  }
}

/**
 * Library names and paths of an ld.so.cache, in the order of preference. The format: struct cache_file_new in glibc's
 * sysdeps/generic/dl-cache.h; an old-format header may precede it.
 */
export function parseLibraryCache(cache: Buffer): Map<string, string[]> {
  const found = new Map<string, string[]>()
  const base = cache.indexOf(CACHE_MAGIC)
  if (base < 0 || cache.length < base + 48) return found
  const entries = cache.readUInt32LE(base + 20)
  const text = (offset: number): string => {
    const end = cache.indexOf(0, base + offset)
    return cache.toString('utf8', base + offset, end < 0 ? cache.length : end)
  }
  for (let index = 0; index < entries; index++) {
    const at = base + 48 + index * 24
    if (at + 24 > cache.length) break
    const name = text(cache.readUInt32LE(at + 4))
    const paths = found.get(name) ?? []
    paths.push(text(cache.readUInt32LE(at + 8)))
    found.set(name, paths)
  }
  return found
}

/** Files of a directory that match the last component of an `include` line, in the order of the alphabet. */
function expandInclude(pattern: string): string[] {
  if (!pattern.includes('*')) return [pattern]
  const directory = path.dirname(pattern)
  const [before = '', after = ''] = path.basename(pattern).split('*')
  try {
    return fs
      .readdirSync(directory)
      .filter((name) => name.startsWith(before) && name.endsWith(after))
      .sort()
      .map((name) => path.join(directory, name))
  } catch {
    return []
  }
}

/** The directories of an ld.so.conf and of what it includes. */
function readConfiguration(file: string): string[] {
  const directories: string[] = []
  const queue = [file]
  for (let read = 0; queue.length > 0 && read < MAX_CONF_FILES; read++) {
    const current = queue.shift() ?? ''
    const lines = readIfThere(current)?.toString().split('\n') ?? []
    for (const raw of lines) {
      const line = raw.replace(/#.*/, '').trim()
      const include = /^include\s+(\S+)$/.exec(line)?.[1]
      if (include !== undefined)
        queue.push(...expandInclude(path.resolve(path.dirname(current), include)))
      else if (line.startsWith('/')) directories.push(line)
    }
  }
  return directories
}

/** Directories that Debian's and other distributions' loaders have compiled in. */
function defaultDirectories(): string[] {
  const triple = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu'
  const musl = process.arch === 'arm64' ? 'aarch64' : 'x86_64'
  const muslPath = readIfThere(`/etc/ld-musl-${musl}.path`)?.toString().split(/[:\n]/) ?? []
  return [
    ...[`/lib/${triple}`, `/usr/lib/${triple}`, '/lib64', '/usr/lib64', '/lib', '/usr/lib'],
    ...muslPath.filter((directory) => directory.startsWith('/')),
  ]
}

/** Whether a file is an ELF file for the same machine as the one that needs it. */
function fits(file: string, needer: ElfFile): boolean {
  let fd: number
  try {
    fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
  } catch {
    return false
  }
  try {
    const elf = readElf(fd)
    return elf?.bits === needer.bits && elf.machine === needer.machine
  } catch {
    return false // a directory, or unreadable
  } finally {
    fs.closeSync(fd)
  }
}

/** `$ORIGIN`, `$LIB` and `$PLATFORM` in a search path (man 8 ld.so, "Dynamic string tokens"). */
export function expandTokens(directory: string, origin: string): string {
  const platform = process.arch === 'arm64' ? 'aarch64' : 'x86_64'
  return directory
    .replace(/\$(?:ORIGIN\b|\{ORIGIN\})/g, origin)
    .replace(/\$(?:LIB\b|\{LIB\})/g, 'lib64')
    .replace(/\$(?:PLATFORM\b|\{PLATFORM\})/g, platform)
}

/** Reads this host's loader configuration: valid until ldconfig runs again. */
export function openLibrarySearch(): LibrarySearch {
  const cached = parseLibraryCache(readIfThere('/etc/ld.so.cache') ?? Buffer.alloc(0))
  const defaults = defaultDirectories()
  const configured = readConfiguration('/etc/ld.so.conf')
  const isDefault = new Set(defaults.map((directory) => real(directory)))
  const known = new Map<string, FoundLibrary | undefined>()

  function real(directory: string): string {
    try {
      return fs.realpathSync(directory)
    } catch {
      return directory
    }
  }

  function findInSystem(name: string, needer: ElfFile): FoundLibrary | undefined {
    const key = `${needer.machine}/${needer.bits}/${name}`
    if (known.has(key)) return known.get(key)
    const directories = [...configured, ...defaults]
    const candidates = [
      ...(cached.get(name) ?? []),
      ...directories.map((directory) => path.join(directory, name)),
    ]
    const file = candidates.find((candidate) => fits(candidate, needer))
    const found =
      file === undefined
        ? undefined
        : { path: file, builtIn: isDefault.has(real(path.dirname(file))) }
    known.set(key, found)
    return found
  }

  return {
    find(name, needer, { origin, inherited }) {
      if (name.includes('/')) {
        const file = path.resolve(origin, expandTokens(name, origin))
        return fits(file, needer) ? { path: file, builtIn: true } : undefined
      }
      // DT_RUNPATH switches every DT_RPATH off, the inherited ones too.
      const own = needer.runpath.length > 0 ? needer.runpath : needer.rpath
      const paths = own.map((directory) => expandTokens(directory, origin))
      const directories = needer.runpath.length > 0 ? paths : [...paths, ...inherited]
      const near = directories.map((dir) => path.join(dir, name)).find((file) => fits(file, needer))
      return near === undefined ? findInSystem(name, needer) : { path: near, builtIn: true }
    },
  }
}
