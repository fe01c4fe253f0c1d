/**
 * Names of images: those of the distribution grammar (https://github.com/distribution/reference), completed as Docker
 * completes them: nginx -> docker.io/library/nginx. Pure.
 */
import { TsstackError } from '../errors.ts'

export interface NamedReference {
  readonly transport: 'docker'
  /** With domain: `docker.io/library/nginx`. */
  readonly name: string
  readonly tag?: string
  /** `sha256:…`. */
  readonly digest?: string
}

const MAX_NAME = 255

const DOMAIN_COMPONENT = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])'
const DOMAIN = new RegExp(
  `^(?:${DOMAIN_COMPONENT}(?:\\.${DOMAIN_COMPONENT})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`,
)
const PATH_COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/
const TAG = /^\w[\w.-]{0,127}$/

export function isTag(text: string): boolean {
  return TAG.test(text)
}

const DIGEST = /^sha256:[0-9a-f]{64}$/

/** What is wrong with a reference; long ones are cut. */
export function invalidReference(reference: string, state: string, hint?: string): TsstackError {
  const shown = reference.length > 200 ? `${reference.slice(0, 200)}…` : reference
  const options = hint === undefined ? {} : { hint }
  return new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot read image reference "${shown}": ${state}`,
    options,
  )
}

/** Docker's rule: the first component is a domain if it has a dot, a colon or capitals, or is `localhost`. */
function splitDomain(name: string): [string, string] {
  const slash = name.indexOf('/')
  const first = slash < 0 ? '' : name.slice(0, slash)
  const isDomain = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase()
  const domain = isDomain ? first : 'docker.io'
  const path = isDomain ? name.slice(slash + 1) : name
  if (domain === 'index.docker.io') return splitDomain(`docker.io/${path}`)
  return [domain, domain === 'docker.io' && !path.includes('/') ? `library/${path}` : path]
}

/**
 * Reads a name of the distribution grammar and completes its domain. The tag is left absent when it is not given.
 * @throws {INVALID_ARGUMENT}
 */
export function parseName(reference: string): NamedReference {
  const at = reference.indexOf('@')
  const digest = at < 0 ? undefined : reference.slice(at + 1)
  if (digest !== undefined && !DIGEST.test(digest)) {
    throw invalidReference(reference, `"${digest}" is not a digest (sha256: and 64 hex digits)`)
  }
  const beforeDigest = at < 0 ? reference : reference.slice(0, at)
  const colon = beforeDigest.lastIndexOf(':')
  const hasTag = colon > beforeDigest.lastIndexOf('/')
  const tag = hasTag ? beforeDigest.slice(colon + 1) : undefined
  if (tag !== undefined && !TAG.test(tag))
    throw invalidReference(reference, `"${tag}" is not a tag`)
  const [domain, path] = splitDomain(hasTag ? beforeDigest.slice(0, colon) : beforeDigest)
  if (path !== path.toLowerCase())
    throw invalidReference(reference, 'repository name must be lower-case')
  const isPath = path.split('/').every((component) => PATH_COMPONENT.test(component))
  if (!DOMAIN.test(domain) || !isPath)
    throw invalidReference(reference, 'it is not a valid image name')
  const name = `${domain}/${path}`
  if (path.length > MAX_NAME)
    throw invalidReference(reference, `name is longer than ${MAX_NAME} characters`)
  return {
    transport: 'docker',
    name,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  }
}

/** Registry and repository of a completed name: `docker.io/library/nginx` -> `docker.io`, `library/nginx`. Pure. */
export function splitRegistry(name: string): {
  readonly registry: string
  readonly repository: string
} {
  const slash = name.indexOf('/')
  return { registry: name.slice(0, slash), repository: name.slice(slash + 1) }
}
