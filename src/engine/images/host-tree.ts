/**
 * Gathers files of the host with all that they need to run: shared libraries, interpreters, the symlinks on the way.
 * Reads headers only; copying comes later (layer-builder.ts).
 *
 * Rules: owners below 1000 are kept, others become root, since only system ids mean the same everywhere. Below /etc
 * only files that everybody may read are taken, and only where asked for by name: an image never carries a secret.
 */
import fs from 'node:fs'
import path from 'node:path'
import { TsstackError } from '../../errors.ts'
import { getXattr } from '../../kernel/file-calls.ts'
import { expandTokens, type LibrarySearch } from './library-search.ts'
import { followPath, versionOf, type HostFile } from './host-file.ts'
import { readElf, type ElfFile } from './elf.ts'
import type { LayerEntry } from './layer-entry.ts'
import { createPacer } from './pacer.ts'

export interface AddOptions {
  /** Files below /etc are taken too, if everybody may read them. Default: false. */
  readonly allowEtc?: boolean
  /** Changes of this file are seen elsewhere (dpkg's lists), so that it needs no look of its own. Default: false. */
  readonly managed?: boolean
  /** A missing library is an error. Default: false. */
  readonly strict?: boolean
}

interface Scan {
  readonly file: string
  /** DT_RPATHs of those that need it. */
  readonly inherited: readonly string[]
  readonly strict: boolean
}

const MAX_ENTRIES = 200_000
const MAX_BYTES = 32 * 2 ** 30
const MAX_SYSTEM_ID = 999

/** Only ids below 1000 mean the same on every host (Debian policy 9.2.2, LSB). */
export function imageId(id: bigint): number {
  return id <= MAX_SYSTEM_ID ? Number(id) : 0
}

function tooLarge(what: string): TsstackError {
  return new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot assemble host image: it has more than ${what}`,
  )
}

function attributesOf({ path: file, stats }: HostFile, target: string): Omit<LayerEntry, 'type'> {
  const capability = stats.isFile() ? getXattr(file, 'security.capability') : undefined
  return {
    path: target,
    mode: Number(stats.mode & 0o7777n),
    uid: imageId(stats.uid),
    gid: imageId(stats.gid),
    mtime: stats.isDirectory() ? 0 : Number(stats.mtimeNs / 1_000_000_000n),
    ...(capability === undefined ? {} : { xattrs: [['security.capability', capability]] as const }),
  }
}

/** Devices, sockets and FIFOs are never taken. */
function entryOf(file: HostFile, target: string): LayerEntry | undefined {
  const { stats } = file
  const attributes = attributesOf(file, target)
  if (stats.isDirectory()) return { ...attributes, type: 'directory' }
  if (stats.isSymbolicLink()) {
    return { ...attributes, type: 'symlink', target: fs.readlinkSync(file.path), mode: 0o777 }
  }
  if (stats.isFile())
    return { ...attributes, type: 'file', source: file.path, size: Number(stats.size) }
  return undefined
}

/** What follows `#!`: the interpreter, and the program that `env` would look up (man 2 execve). */
export function parseShebang(head: string): { interpreter: string; program?: string } | undefined {
  const line = /^#!\s*(\S+)(?:[ \t]+([^\n]*))?/.exec(head)
  if (line === null) return undefined
  const [, interpreter = '', rest = ''] = line
  const program =
    path.basename(interpreter) === 'env' ? /^(?:-S\s+)?([\w.+-]+)/.exec(rest)?.[1] : undefined
  return { interpreter, ...(program === undefined || program.startsWith('-') ? {} : { program }) }
}

export interface HostTreeContext {
  readonly search: LibrarySearch
  /** The path of a program that `#!/usr/bin/env NAME` asks for. */
  readonly findProgram: (name: string) => string | undefined
}

function isAllowed({ path: file, stats }: HostFile, options: AddOptions): boolean {
  if (!file.startsWith('/etc/') || !stats.isFile()) return true
  return options.allowEtc === true && (stats.mode & 0o004n) !== 0n
}

/** Only what could be run or loaded is opened. */
function isRunnable(file: string): boolean {
  return (fs.statSync(file).mode & 0o111) !== 0 || path.basename(file).includes('.so')
}

/** Starts empty. Everything in it is a look at the host as it is now. */
export class HostTree {
  /** By path without the leading slash. */
  readonly entries = new Map<string, LayerEntry>()
  /** The files of the host behind the entries, by the same path. */
  readonly sources = new Map<string, HostFile>()
  /** Path and version of all that decides about the content. */
  readonly inputs = new Map<string, string>()
  readonly #context: HostTreeContext
  readonly #queue: Scan[] = []
  readonly #scanned = new Set<string>()
  #bytes = 0

  constructor(context: HostTreeContext) {
    this.#context = context
  }

  /** Adds what is not of the host; an entry at the same path is replaced. */
  addEntry(entry: LayerEntry): void {
    if (this.entries.size >= MAX_ENTRIES) throw tooLarge(`${MAX_ENTRIES} files`)
    this.#bytes += entry.type === 'file' ? entry.size : 0
    if (this.#bytes > MAX_BYTES) throw tooLarge(`${MAX_BYTES} bytes`)
    this.entries.set(entry.path, entry)
  }

  /** Adds a path, symlinks followed and kept. @returns the real path, undefined if it can't be taken */
  addPath(file: string, options: AddOptions = {}): string | undefined {
    const found = followPath(file)
    if (found === undefined) return undefined
    if (found.end !== undefined && !isAllowed(found.end, options)) return undefined
    for (const step of found.way) this.#record(step, options)
    if (found.end === undefined) return undefined
    this.#record(found.end, options)
    return found.end.path
  }

  /** Adds a directory with all that is in it; symlinks in it are kept, not followed. */
  async addDirectory(directory: string, options: AddOptions = {}): Promise<void> {
    const pacer = createPacer()
    const pending = [directory]
    for (let current = pending.pop(); current !== undefined; current = pending.pop()) {
      this.inputs.set(current, versionOf(fs.lstatSync(current, { bigint: true })))
      for (const name of fs.readdirSync(current)) {
        const file = path.join(current, name)
        const stats = fs.lstatSync(file, { bigint: true })
        if (!isAllowed({ path: file, stats }, options)) continue
        this.#record({ path: file, stats }, options)
        if (stats.isDirectory()) pending.push(file)
      }
      await pacer.breathe()
    }
  }

  /** Adds a program of the host under another path. */
  addCopy(file: HostFile, target: string): void {
    this.#addParents(target)
    this.#record(file, {}, target.slice(1))
  }

  /** Follows what the added files need, until nothing new turns up. */
  async addNeeded(): Promise<void> {
    const pacer = createPacer()
    for (let scan = this.#queue.pop(); scan !== undefined; scan = this.#queue.pop()) {
      this.#scan(scan)
      await pacer.breathe()
    }
  }

  #record(file: HostFile, options: AddOptions, target = file.path.slice(1)): void {
    const isDirectory = file.stats.isDirectory()
    if (!isDirectory && options.managed !== true) this.inputs.set(file.path, versionOf(file.stats))
    if (this.entries.has(target)) return
    const entry = entryOf(file, target)
    if (entry === undefined) return
    this.addEntry(entry)
    if (entry.type !== 'file') return
    this.sources.set(target, file)
    this.#queue.push({ file: file.path, inherited: [], strict: options.strict === true })
  }

  #addParents(target: string): void {
    const directory = path.dirname(target)
    if (directory === '/' || this.entries.has(directory.slice(1))) return
    this.#addParents(directory)
    if (this.addPath(directory) === directory) return
    this.addEntry({
      type: 'directory',
      path: directory.slice(1),
      mode: 0o755,
      uid: 0,
      gid: 0,
      mtime: 0,
    })
  }

  #scan(scan: Scan): void {
    const key = `${scan.file}\0${scan.inherited.join(':')}`
    if (this.#scanned.has(key) || !isRunnable(scan.file)) return
    this.#scanned.add(key)
    const fd = fs.openSync(scan.file, 'r')
    try {
      const head = Buffer.alloc(256)
      const length = fs.readSync(fd, head, 0, head.length, 0)
      if (head.toString('latin1', 0, 2) === '#!') this.#addInterpreter(head.subarray(0, length))
      const elf = readElf(fd)
      if (elf?.interpreter !== undefined) this.addPath(elf.interpreter)
      if (elf !== undefined) this.#addLibraries(elf, scan)
    } finally {
      fs.closeSync(fd)
    }
  }

  #addInterpreter(head: Buffer): void {
    const shebang = parseShebang(head.toString('latin1'))
    if (shebang === undefined) return
    this.addPath(shebang.interpreter)
    const program =
      shebang.program === undefined ? undefined : this.#context.findProgram(shebang.program)
    if (program !== undefined) this.addPath(program)
  }

  #addLibraries(elf: ElfFile, scan: Scan): void {
    const origin = path.dirname(scan.file)
    const own =
      elf.runpath.length > 0 ? [] : elf.rpath.map((directory) => expandTokens(directory, origin))
    const inherited = [...own, ...scan.inherited]
    for (const name of elf.needed) {
      const found = this.#context.search.find(name, elf, { origin, inherited: scan.inherited })
      const real = found === undefined ? undefined : this.addPath(found.path)
      if (found !== undefined && real !== undefined) {
        if (!found.builtIn) this.#addAlias(name, found.path)
        this.#queue.push({ file: real, inherited, strict: scan.strict })
      } else if (scan.strict) {
        const message = `Cannot assemble host image: library "${name}" that "${scan.file}" needs is not found`
        throw new TsstackError('FAILED_PRECONDITION', message)
      }
    }
  }

  /** The image has no ld.so.cache: what only the cache knows gets a name where the loader looks anyway. */
  #addAlias(name: string, library: string): void {
    const target = `/usr/lib/${name}`
    if (this.entries.has(target.slice(1))) return
    this.#addParents(target)
    const attributes = { mode: 0o777, uid: 0, gid: 0, mtime: 0 }
    this.addEntry({ type: 'symlink', path: target.slice(1), target: library, ...attributes })
  }
}
