/**
 * What may stand after `image:`. A prefix names the transport, as in containers-transports(5); without one it is a name
 * of the distribution grammar (https://github.com/distribution/reference), completed as Docker completes it.
 *
 *   host:item[,item…]                 assembled from this host's files (see host-image.ts)
 *   dir:path                          a containers/image `dir:` layout, or a plain root file system
 *   oci:path[:name]                   an OCI image layout
 *   oci-archive:path[:name]           the same as one tar file
 *   docker-archive:path[:ref|:@n]     what `docker save` writes
 *   [docker://]name[:tag][@digest]    nginx -> docker.io/library/nginx:latest
 */
import { TsstackError } from '../../errors.ts'
import {
  invalidReference as invalid,
  parseName,
  type NamedReference,
} from '../../registry/image-name.ts'

/** One word of a `host:` reference. */
export interface HostItem {
  /** `package`: the word had the prefix `pkg:`. `path`: it begins with a slash. */
  readonly kind: 'path' | 'name' | 'package'
  readonly value: string
}

export type ImageReference =
  | NamedReference
  /** Sorted, without repetition: the order says nothing. */
  | { readonly transport: 'host'; readonly items: readonly HostItem[] }
  | { readonly transport: 'dir'; readonly path: string }
  | { readonly transport: 'oci' | 'oci-archive'; readonly path: string; readonly name?: string }
  | {
      readonly transport: 'docker-archive'
      readonly path: string
      readonly name?: string
      /** The position in the archive's manifest.json. */
      readonly index?: number
    }

const MAX_REFERENCE = 8192
const MAX_ITEMS = 128

const PROGRAM = /^[A-Za-z0-9_+.@[-][A-Za-z0-9_+.@:[\]-]*$/
const PACKAGE = /^[a-z0-9][a-z0-9+.-]+(?::[a-z0-9-]+)?$/

function parseItem(reference: string, word: string): HostItem {
  if (word.startsWith('/')) {
    if (word.split('/').includes('..')) throw invalid(reference, `path "${word}" contains ".."`)
    return { kind: 'path', value: word.replace(/\/+/g, '/').replace(/(?<=.)\/$/, '') }
  }
  const isPackage = word.startsWith('pkg:')
  const value = isPackage ? word.slice(4) : word
  if (isPackage ? !PACKAGE.test(value) : !PROGRAM.test(value)) {
    throw invalid(reference, `"${word}" is not a program, a package or an absolute path`)
  }
  return { kind: isPackage ? 'package' : 'name', value }
}

function parseHost(reference: string, rest: string): ImageReference {
  const words = rest
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
  if (words.length === 0)
    throw invalid(reference, 'it names nothing', 'Name programs, for example host:sh,coreutils')
  if (words.length > MAX_ITEMS) throw invalid(reference, `it names more than ${MAX_ITEMS} items`)
  const items = [...new Set(words)].sort().map((word) => parseItem(reference, word))
  return { transport: 'host', items }
}

/** A path and what follows its first colon; containers-transports(5) allows no colon in the path. */
function splitPath(reference: string, rest: string): [string, string | undefined] {
  const colon = rest.indexOf(':')
  const path = colon < 0 ? rest : rest.slice(0, colon)
  if (path === '' || path.includes('\0')) throw invalid(reference, 'it has no path')
  return [path, colon < 0 || colon === rest.length - 1 ? undefined : rest.slice(colon + 1)]
}

function parseDockerArchive(reference: string, rest: string): ImageReference {
  const [path, name] = splitPath(reference, rest)
  if (name === undefined) return { transport: 'docker-archive', path }
  if (!name.startsWith('@')) return { transport: 'docker-archive', path, name }
  if (!/^@[0-9]{1,6}$/.test(name))
    throw invalid(reference, `"${name}" is not a position such as "@0"`)
  return { transport: 'docker-archive', path, index: Number(name.slice(1)) }
}

function parseOci(
  reference: string,
  rest: string,
  transport: 'oci' | 'oci-archive',
): ImageReference {
  const [path, name] = splitPath(reference, rest)
  return { transport, path, ...(name === undefined ? {} : { name }) }
}

/**
 * Reads whatever may stand after `image:`.
 * @throws {INVALID_ARGUMENT} naming what is wrong with it
 */
export function parseReference(reference: string): ImageReference {
  if (reference.length > MAX_REFERENCE)
    throw invalid(reference, `it is longer than ${MAX_REFERENCE} characters`)
  const colon = reference.indexOf(':')
  const rest = reference.slice(colon + 1)
  const prefix = colon < 0 ? '' : reference.slice(0, colon)
  if (prefix === 'host') return parseHost(reference, rest)
  if (prefix === 'dir') {
    if (rest === '' || rest.includes('\0')) throw invalid(reference, 'it has no path')
    return { transport: 'dir', path: rest }
  }
  if (prefix === 'oci' || prefix === 'oci-archive') return parseOci(reference, rest, prefix)
  if (prefix === 'docker-archive') return parseDockerArchive(reference, rest)
  if (prefix === 'docker' && rest.startsWith('//')) return parseName(rest.slice(2))
  return parseName(reference)
}

function formatItem(item: HostItem): string {
  return item.kind === 'package' ? `pkg:${item.value}` : item.value
}

/**
 * The canonical text of a reference, under which the store files it. A name without tag and digest gets `latest`.
 * @param reference - with an absolute path, where it has one
 */
export function formatReference(reference: ImageReference): string {
  switch (reference.transport) {
    case 'host':
      return `host:${reference.items.map(formatItem).join(',')}`
    case 'dir':
      return `dir:${reference.path}`
    case 'oci':
    case 'oci-archive':
      return `${reference.transport}:${reference.path}${reference.name === undefined ? '' : `:${reference.name}`}`
    case 'docker-archive': {
      const which = reference.index === undefined ? reference.name : `@${reference.index}`
      return `docker-archive:${reference.path}${which === undefined ? '' : `:${which}`}`
    }
    case 'docker': {
      if (reference.digest !== undefined) return `${reference.name}@${reference.digest}`
      return `${reference.name}:${reference.tag ?? 'latest'}`
    }
  }
}

/**
 * A name that an image can be given, as `formatReference` writes it.
 * @throws {INVALID_ARGUMENT} it carries a digest, or is no name
 */
export function parseTag(name: string): string {
  const parsed = parseReference(name)
  if (parsed.transport === 'docker' && parsed.digest === undefined) return formatReference(parsed)
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot tag image as "${name}": it is not a name with a tag`,
  )
}

/** As people write it: `docker.io/library/nginx:1` -> `nginx:1`. */
export function familiarReference(canonical: string): string {
  return canonical.replace(/^docker\.io\/(library\/)?/, '')
}
