/**
 * The files of a stack as an artifact has them: what they extend and their environment files lie beside them, under names
 * without a directory. Everything else stays as it is written: variables are replaced where the stack is brought up.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { basename, dirname, relative, resolve } from 'node:path'
import {
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  parseAllDocuments,
  type Document,
  type Scalar,
  type YAMLMap,
} from 'yaml'
import { TsstackError } from '../errors.ts'
import { isRemote } from '../spec/remote-files.ts'
import { substitute } from '../spec/template.ts'

export interface PackedFile {
  readonly kind: 'stack' | 'extended' | 'environment'
  readonly name: string
  readonly bytes: Buffer
}

export interface PackedStack {
  /** Absolute paths, in order. */
  readonly files: readonly string[]
  /** Absolute: what the environment files of the stack files are relative to. */
  readonly workingDir: string
  /** The variables that paths are written with. */
  readonly environment: ReadonlyMap<string, string>
}

/**
 * @throws {FAILED_PRECONDITION} for what an artifact can't have: programs, standard input, files that are included
 * @throws {INVALID_ARGUMENT} for a file that can't be read
 */
export function packStack(stack: PackedStack): PackedFile[] {
  const packer = new Packer(stack)
  for (const file of stack.files) packer.addStackFile(file)
  return packer.finish()
}

/** A scalar that names a file. */
interface Reference {
  readonly kind: 'extended' | 'environment'
  readonly scalar: Scalar<string>
}

class Packer {
  readonly #stack: PackedStack
  readonly #packed: PackedFile[] = []
  /** By path. */
  readonly #beside = new Map<string, PackedFile>()

  constructor(stack: PackedStack) {
    this.#stack = stack
  }

  addStackFile(file: string): void {
    if (file === '-')
      throw cannotPublish('it comes from standard input', 'Write it to a file first')
    const bytes = this.#rewritten(file, this.#stack.workingDir)
    this.#packed.push({ kind: 'stack', name: basename(file), bytes })
  }

  finish(): PackedFile[] {
    return [...this.#packed, ...this.#beside.values()]
  }

  /** @param directory - what its environment files are relative to */
  #rewritten(file: string, directory: string): Buffer {
    if (/\.[cm]?[jt]s$/.test(file))
      throw cannotPublish(`"${file}" is a program`, 'Publish what "tsstack config" makes of it')
    const bytes = read(file)
    const text = bytes.toString()
    const documents = parseAllDocuments(text, { logLevel: 'silent' })
    if (!Array.isArray(documents)) return bytes // there is nothing in it
    const names = new Map<Scalar<string>, string>()
    for (const document of documents) {
      this.#refuseIncludes(document, file)
      for (const { kind, scalar } of referencesOf(document)) {
        const name = this.#bringAlong(kind, scalar.value, { file, directory })
        if (name !== undefined) names.set(scalar, name)
      }
    }
    return names.size === 0 ? bytes : Buffer.from(withValues(text, names))
  }

  /** @returns what the file is called in the artifact; undefined: it stays where it is, or is not there and need not be */
  #bringAlong(
    kind: Reference['kind'],
    written: string,
    { file, directory }: { readonly file: string; readonly directory: string },
  ): string | undefined {
    const text = this.#substituted(written)
    if (kind === 'extended' && isRemote(text)) return undefined
    const path = resolve(kind === 'extended' ? dirname(file) : directory, text)
    const known = this.#beside.get(path)
    if (known !== undefined) return known.name
    const place = relative(this.#stack.workingDir, path)
    const name = `${createHash('sha256').update(place).digest('hex').slice(0, 12)}-${basename(path)}`
    if (kind === 'environment') {
      const bytes = readIfThere(path)
      if (bytes === undefined) return undefined
      this.#beside.set(path, { kind, name, bytes })
      return name
    }
    // Known before it is read: files may extend each other.
    this.#beside.set(path, { kind, name, bytes: Buffer.alloc(0) })
    this.#beside.set(path, { kind, name, bytes: this.#rewritten(path, dirname(path)) })
    return name
  }

  #refuseIncludes(document: Document, file: string): void {
    for (const path of scalarsOf(document, document.get('include', true), 'path')) {
      if (isRemote(this.#substituted(path.value))) continue
      throw cannotPublish(
        `"${file}" includes "${path.value}", which is not published with it`,
        'Include it from a repository or a registry, or publish what "tsstack config" makes of all',
      )
    }
  }

  #substituted(text: string): string {
    return substitute(text, (name) => this.#stack.environment.get(name))
  }
}

function cannotPublish(state: string, hint: string): TsstackError {
  return new TsstackError('FAILED_PRECONDITION', `Cannot publish the stack: ${state}`, { hint })
}

/** The text with other values in the places of some scalars, and every other character as it was. */
function withValues(text: string, values: ReadonlyMap<Scalar<string>, string>): string {
  const patches = [...values].map(([{ range }, value]) => {
    const [start, end] = range ?? [0, 0, 0]
    const lineEnd = text.slice(start, end).endsWith('\n') ? '\n' : '' // of a block scalar
    return { start, end, value: `${JSON.stringify(value)}${lineEnd}` }
  })
  return patches
    .toSorted((a, b) => b.start - a.start)
    .reduce((rest, { start, end, value }) => rest.slice(0, start) + value + rest.slice(end), text)
}

function read(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw new TsstackError('INVALID_ARGUMENT', `Cannot read "${file}"`, { cause })
  }
}

function readIfThere(file: string): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}

function* referencesOf(document: Document): Generator<Reference> {
  const services = resolved(document, document.get('services', true))
  if (!isMap(services)) return
  for (const { value } of services.items) {
    const service = resolved(document, value)
    if (!isMap(service)) continue
    for (const extended of attributesOf(document, service, 'extends')) {
      const node = resolved(document, extended)
      if (!isMap(node)) continue
      for (const scalar of scalarsOf(document, node.get('file', true), ''))
        yield { kind: 'extended', scalar }
    }
    for (const file of attributesOf(document, service, 'env_file'))
      for (const scalar of scalarsOf(document, file, 'path')) yield { kind: 'environment', scalar }
  }
}

function resolved(document: Document, node: unknown): unknown {
  return isAlias(node) ? node.resolve(document) : node
}

/** The attribute of a map, and of those that are merged into it (`<<`). */
function* attributesOf(document: Document, map: YAMLMap, name: string): Generator {
  if (map.has(name)) yield map.get(name, true)
  const merged = resolved(document, map.get('<<', true))
  for (const item of isSeq(merged) ? merged.items : [merged]) {
    const node = resolved(document, item)
    if (isMap(node) && node !== map) yield* attributesOf(document, node, name)
  }
}

/** The texts of `text`, `[text, …]`, `{key: text}` and `[{key: text}, …]`. */
function* scalarsOf(document: Document, node: unknown, key: string): Generator<Scalar<string>> {
  const found = resolved(document, node)
  if (isScalar(found) && typeof found.value === 'string') yield found as Scalar<string>
  else if (isSeq(found))
    for (const item of found.items)
      yield* scalarsOf(document, isPair(item) ? item.value : item, key)
  else if (isMap(found) && found.has(key)) yield* scalarsOf(document, found.get(key, true), key)
}
