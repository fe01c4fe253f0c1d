/** The forms of files that SOPS encrypts, as their values in order; and what they are when these are plain. Pure. */
import { extname } from 'node:path'
import { isAlias, isMap, isScalar, isSeq, parseAllDocuments, Scalar } from 'yaml'
import type { Document, Node, Pair } from 'yaml'
import { TsstackError } from '../../errors.ts'
import type { SopsValue } from './sops-value.ts'

export interface SopsLeaf {
  /** The keys on the way to it; places in lists do not count. */
  readonly path: readonly string[]
  readonly value: SopsValue
  readonly set: (value: SopsValue) => void
}

export interface SopsTree {
  /** What SOPS notes. */
  readonly notes: Readonly<Record<string, unknown>>
  readonly leaves: readonly SopsLeaf[]
  /** The file with what was set, and without the notes. */
  readonly plain: () => Buffer
}

const NOTES = 'sops'

/** @throws {INVALID_ARGUMENT} it is no file of SOPS; {UNIMPLEMENTED} of a form that is not read */
export function readSopsTree(text: string, path: string): SopsTree {
  if (/^\[sops\]\s*$/m.test(text))
    throw new TsstackError('UNIMPLEMENTED', 'SOPS: files in INI form are not read', {
      hint: 'Use YAML, JSON, .env or a binary file',
    })
  if (/^sops_mac=/m.test(text)) return dotenvTree(text)
  const isJson = text.trimStart().startsWith('{')
  const documents = documentsOf(text, isJson)
  return isJson && extname(path) !== '.json' ? binaryOr(documents) : structured(documents, isJson)
}

/** A file of another kind is one value in a JSON object. */
function binaryOr(documents: readonly Document[]): SopsTree {
  const tree = structured(documents, true)
  const [data, ...others] = tree.leaves
  if (data === undefined || others.length > 0 || data.path.join() !== 'data') return tree
  let plain: Buffer = Buffer.alloc(0)
  const set = (value: SopsValue): void => {
    plain = Buffer.isBuffer(value) ? value : Buffer.from(String(value))
  }
  return { ...tree, leaves: [{ ...data, set }], plain: () => plain }
}

function documentsOf(text: string, isJson: boolean): Document[] {
  const parsed = parseAllDocuments(text, { intAsBigInt: !isJson, logLevel: 'silent' })
  const documents = 'empty' in parsed ? [] : [...parsed]
  const [problem] = documents.flatMap(({ errors }) => errors)
  if (problem !== undefined || documents.length === 0) throw notRead(problem?.code ?? 'it is empty')
  return documents
}

function notRead(state: string): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', `SOPS: cannot read it: ${state}`)
}

function structured(documents: readonly Document[], isJson: boolean): SopsTree {
  let notes: Readonly<Record<string, unknown>> | undefined
  const leaves: SopsLeaf[] = []
  for (const document of documents) {
    const { contents } = document
    if (!isMap(contents)) throw notRead('a document is no map')
    const all = leavesOf(contents, [])
    const own = contents.get(NOTES, true)
    notes ??= isMap(own) ? (own.toJSON() as Readonly<Record<string, unknown>>) : undefined
    contents.delete(NOTES)
    document.comment = null
    document.commentBefore = null
    leaves.push(...all.filter(({ path: [first] }) => first !== NOTES))
  }
  if (notes === undefined) throw notRead('it has no notes of SOPS')
  const plain = (): string =>
    isJson
      ? `${JSON.stringify(documents[0]?.toJS(), undefined, 2)}\n`
      : documents
          .map((each, index) => each.toString({ lineWidth: 0, directives: index > 0 }))
          .join('')
  return { notes, leaves, plain: () => Buffer.from(plain()) }
}

/** Comments may be encrypted, too: nothing in a container reads them, and they are left out. */
function withoutComments(node: Node): void {
  node.comment = null
  node.commentBefore = null
}

function leavesOf(node: Node, path: readonly string[]): SopsLeaf[] {
  withoutComments(node)
  // SOPS writes none, and they make small files large.
  if (isAlias(node)) throw notRead('it has aliases')
  if (isSeq(node)) return node.items.flatMap((item) => leavesOf(item as Node, path))
  if (isMap(node)) return node.items.flatMap((pair) => leavesOfPair(pair as Pair<Node>, path))
  return isScalar(node) ? leavesOfScalar(node, path) : []
}

function leavesOfPair({ key, value }: Pair<Node>, path: readonly string[]): SopsLeaf[] {
  if (!isScalar(key) || typeof key.value !== 'string') throw notRead('a key is no text')
  withoutComments(key)
  return value === null ? [] : leavesOf(value as Node, [...path, key.value])
}

function leavesOfScalar(scalar: Scalar, path: readonly string[]): SopsLeaf[] {
  const { value } = scalar
  if (value === null) return []
  if (!['string', 'number', 'bigint', 'boolean'].includes(typeof value))
    throw notRead('a value is of another kind')
  const set = (plain: SopsValue): void => {
    if (Buffer.isBuffer(plain)) throw notRead('a value is no text')
    scalar.value = plain
    // Whatever it looks like, a text stays one.
    if (typeof plain === 'string') scalar.type = Scalar.QUOTE_DOUBLE
    else delete scalar.type
    delete scalar.source
  }
  return [{ path, value: value as SopsValue, set }]
}

/** Lines of `NAME=value`, in which `\n` is written out. */
function dotenvTree(text: string): SopsTree {
  const pairs = text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', value] = /^([^=]*)=(.*)$/s.exec(line) ?? []
      if (value === undefined) throw notRead('a line is no NAME=value')
      return { name, value: value.replaceAll(String.raw`\n`, '\n') }
    })
  const isNote = ({ name }: { readonly name: string }): boolean => name.startsWith(`${NOTES}_`)
  const own = pairs.filter((pair) => !isNote(pair))
  const leaves = own.map((pair): SopsLeaf => ({
    path: [pair.name],
    value: pair.value,
    set: (value) => {
      if (Buffer.isBuffer(value)) throw notRead('a value is no text')
      pair.value = String(value)
    },
  }))
  const line = ({ name, value }: (typeof own)[number]): string =>
    `${name}=${value.replaceAll('\n', String.raw`\n`)}\n`
  return {
    notes: nested(pairs.filter(isNote)),
    leaves,
    plain: () => Buffer.from(own.map(line).join('')),
  }
}

/** `sops_age__list_0__map_enc` is `age[0].enc`; deeper ones say nothing that is needed here. */
function nested(
  notes: readonly { readonly name: string; readonly value: string }[],
): Record<string, unknown> {
  const lists = new Map<string, Record<string, string>[]>()
  const flat: Record<string, unknown> = {}
  for (const { name, value } of notes) {
    const [, list, index = '', key = ''] =
      /^sops_(\w+?)__list_(\d{1,3})__map_(\w+)$/.exec(name) ?? []
    if (list === undefined) flat[name.slice(NOTES.length + 1)] = value
    else {
      const entries = lists.get(list) ?? []
      entries[Number(index)] = { ...entries[Number(index)], [key]: value }
      lists.set(list, entries)
    }
  }
  return {
    ...flat,
    ...Object.fromEntries([...lists].map(([key, all]) => [key, all.filter(Boolean)])),
  }
}
