/** `build` of a service -> BuildInput: paths looked up, and what can't be done refused with its reason. */
import fs from 'node:fs'
import path from 'node:path'
import type { BuildRequest } from '../api/build-types.ts'
import type { BuildInput, ContextSource } from '../builder/build-input.ts'
import { readBeneath, readOutside } from '../builder/context-file.ts'
import { ignoreLines } from '../builder/ignore-patterns.ts'
import { HOST_ARCHITECTURE } from '../engine/images/image.ts'
import { imageNameOf } from '../planner/image-name.ts'
import { withoutLogin } from '../spec/without-login.ts'
import { parseBuildContext } from '../spec/build-context.ts'
import { parseBytes } from '../spec/bytes.ts'
import type { BuildDefinition } from '../spec/stack.ts'
import { TsstackError } from '../errors.ts'
import { readCaches, type WrittenCaches } from './build-caches.ts'
import type { FetchedContexts } from './build-remote-contexts.ts'
import { secretsOf, sshOf } from './build-secrets.ts'

export interface ServiceBuild {
  readonly service: string
  readonly input: BuildInput
  /** The first is the service's own. */
  readonly names: readonly string[]
  /** Services whose images must be there first. */
  readonly needs: readonly string[]
  readonly pull: boolean
  readonly caches: WrittenCaches
  readonly warnings: readonly string[]
}

/** One service of a request, and the contexts that were fetched for it. */
interface Reading {
  readonly request: BuildRequest
  readonly service: string
  readonly fetched: FetchedContexts
}

function cannot(service: string, state: string, hint?: string): TsstackError {
  const options = hint === undefined ? {} : { hint }
  return new TsstackError('UNIMPLEMENTED', `Cannot build service "${service}": ${state}`, options)
}

function readNear(context: string, file: string): string | undefined {
  const relative = path.relative(context, path.resolve(context, file))
  const isBeneath = relative !== '' && !relative.startsWith('..')
  return isBeneath ? readBeneath(context, relative) : readOutside(path.resolve(context, file))
}

/** Where a build's files are; one that was fetched is read alone. */
interface Place {
  readonly directory: string
  readonly isFetched: boolean
  /** As the stack file names it. */
  readonly name: string
}

function placeOf({ context = '/' }: BuildDefinition, fetched: FetchedContexts): Place {
  const found = fetched.get(context)
  return {
    directory: found ?? context,
    isFetched: found !== undefined,
    name: withoutLogin(context),
  }
}

function dockerfileOf(
  service: string,
  { dockerfile = 'Dockerfile', dockerfile_inline: inline }: BuildDefinition,
  { directory, isFetched, name }: Place,
): BuildInput['dockerfile'] {
  if (fs.statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot build service "${service}": its context "${name}" is no directory of this host`,
      { hint: 'Correct "build.context"' },
    )
  const read = isFetched ? readBeneath : readNear
  const own = inline === undefined ? read(directory, `${dockerfile}.dockerignore`) : undefined
  const ignore = ignoreLines(own ?? readBeneath(directory, '.dockerignore') ?? '')
  if (inline !== undefined) return { text: inline, file: 'dockerfile_inline', ignore }
  const text = read(directory, dockerfile)
  if (text !== undefined) return { text, file: dockerfile, ignore }
  throw new TsstackError(
    'NOT_FOUND',
    `Cannot build service "${service}": there is no file "${dockerfile}" in "${name}"`,
    { hint: 'Set "build.dockerfile", or "build.context"' },
  )
}

function contextOf(
  { request, service, fetched }: Reading,
  name: string,
  value: string,
): ContextSource {
  const context = parseBuildContext(value)
  switch (context.kind) {
    case 'directory':
      return { kind: 'directory', path: context.path }
    case 'image':
      return { kind: 'image', reference: context.reference }
    case 'layout': {
      const tag = context.name === undefined ? '' : `:${context.name}`
      return { kind: 'image', reference: `oci:${context.directory}${tag}` }
    }
    case 'service':
      return {
        kind: 'image',
        reference: imageNameOf(request.stack, context.service) ?? context.service,
      }
    case 'remote':
      return { kind: 'directory', path: fetched.get(value) ?? value }
    case 'unknown':
      throw cannot(
        service,
        `additional context "${name}" is "${value}"`,
        'Use a directory, a URL, docker-image://, oci-layout:// or service:',
      )
  }
}

function contextsOf(reading: Reading, build: BuildDefinition): Record<string, ContextSource> {
  const named = Object.entries(build.additional_contexts ?? {})
  return Object.fromEntries(named.map(([name, value]) => [name, contextOf(reading, name, value)]))
}

/** Services whose images are contexts: they are built first. */
export function needsOf({ additional_contexts: contexts = {} }: BuildDefinition): string[] {
  return Object.values(contexts).flatMap((value) => {
    const context = parseBuildContext(value)
    return context.kind === 'service' ? [context.service] : []
  })
}

function checkSupported(service: string, build: BuildDefinition): string[] {
  const { isolation, platforms = [] } = build
  if (isolation !== undefined && !['', 'default'].includes(isolation))
    throw cannot(service, `isolation "${isolation}" is not Linux's`)
  const host = `linux/${HOST_ARCHITECTURE}`
  const foreign = platforms.find(
    (platform) => platform !== host && !platform.startsWith(`${host}/`),
  )
  if (foreign !== undefined)
    throw cannot(
      service,
      `platform "${foreign}" is not this host's, which is "${host}"`,
      'Remove it from "build.platforms"',
    )
  const isWanted = (value: string | boolean | undefined): boolean =>
    value !== undefined && !['', 'false', 'null'].includes(String(value))
  return (['provenance', 'sbom'] as const)
    .filter((name) => isWanted(build[name]))
    .map((name) => `service "${service}": build.${name} is not made, images have no attestations`)
}

function ulimitsOf({ ulimits = {} }: BuildDefinition): BuildInput['run']['ulimits'] {
  const entries = Object.entries(ulimits).map(
    ([name, limit]) =>
      [name, typeof limit === 'number' ? { soft: limit, hard: limit } : limit] as const,
  )
  return Object.fromEntries(entries)
}

/** An image that several services build is the same whichever of them builds it: it names none of them. */
function labelsOf(
  { stack }: BuildRequest,
  service: string,
  build: BuildDefinition,
): Record<string, string> {
  const image = imageNameOf(stack, service)
  const isShared = Object.keys(stack.services).some(
    (other) => other !== service && imageNameOf(stack, other) === image,
  )
  return {
    ...build.labels,
    'com.docker.compose.project': stack.name,
    ...(isShared ? {} : { 'com.docker.compose.service': service }),
  }
}

function runOptions(build: BuildDefinition): BuildInput['run'] {
  const { network, shm_size: shm, extra_hosts: extraHosts = [], entitlements = [] } = build
  return {
    network: network === undefined || network === '' ? 'default' : network,
    privileged: build.privileged ?? false,
    entitlements,
    extraHosts,
    ulimits: ulimitsOf(build),
    ...(shm === undefined ? {} : { shmBytes: parseBytes(shm) }),
  }
}

/** @throws {UNIMPLEMENTED} {NOT_FOUND} {FAILED_PRECONDITION} naming the service */
export function buildDefinition(reading: Reading, build: BuildDefinition): ServiceBuild {
  const { request, service, fetched } = reading
  const { options, stack } = request
  const warnings = checkSupported(service, build)
  const caches = readCaches(build, request.workingDir, (state, hint) =>
    cannot(service, state, hint),
  )
  const { target } = build
  const place = placeOf(build, fetched)
  const name = imageNameOf(stack, service) ?? service
  const input: BuildInput = {
    dockerfile: dockerfileOf(service, build, place),
    ...(build.context === undefined ? {} : { context: place.directory }),
    additionalContexts: contextsOf(reading, build),
    ...(target === undefined || target === '' ? {} : { target }),
    args: { ...build.args, ...options.args },
    ownArguments: Object.keys(build.args ?? {}),
    labels: labelsOf(request, service, build),
    noCache: options.noCache ?? build.no_cache ?? false,
    inlineCache: caches.isInline,
    noCacheFilter: build.no_cache_filter ?? [],
    run: runOptions(build),
    secrets: secretsOf(request, build),
    ssh: sshOf(service, request, build),
  }
  const names = [...new Set([name, ...(build.tags ?? [])])]
  const pull = options.pull ?? build.pull ?? false
  return { service, input, names, needs: needsOf(build), warnings, pull, caches }
}
