/** What `build` of a stack file from git may read and name. What its Dockerfile names is checked when it is built. */
import { resolve } from 'node:path'
import { parseBuildContext } from '../spec/build-context.ts'
import { parseBuildCache, type BuildCache } from '../spec/build-cache.ts'
import type { BuildDefinition, Service } from '../spec/stack.ts'
import { isWithin } from './confined-files.ts'
import { imagePathOf } from './image-path.ts'
import { isPathAllowed, ownerOf, type Breach, type PolicyContext } from './policy-context.ts'

/** @param stack - its name */
export function buildBreaches(
  { build, image }: Service,
  context: PolicyContext,
  stack: string,
): readonly Breach[] {
  if (build === undefined) return []
  return [
    ...pathBreaches(build, context),
    ...nameBreaches(build, image, { context, stack }),
    ...privilegeBreaches(build, context),
  ]
}

function pathBreaches(build: BuildDefinition, context: PolicyContext): Breach[] {
  const paths = [
    ...ownPaths(build, context),
    ...Object.entries(build.additional_contexts ?? {}).flatMap(([name, value]) =>
      contextPaths(value, context).map((path) => ({
        at: ['build', 'additional_contexts', name],
        path,
      })),
    ),
    ...cachesOf(build).flatMap(({ at, cache }) =>
      cache.kind === 'local' ? [{ at, path: resolve(context.directory, cache.directory) }] : [],
    ),
  ]
  return paths
    .filter(({ path }) => !isPathAllowed(path, context))
    .map(({ at, path }) => ({
      at,
      what: `"${path}" for a build`,
      option: `--allow-host-paths ${path}`,
    }))
}

/** What is fetched from elsewhere reads nothing of the host. */
function isRemote(text: string): boolean {
  return parseBuildContext(text).kind === 'remote'
}

function ownPaths(
  { context: place, dockerfile: file = '' }: BuildDefinition,
  { directory }: PolicyContext,
): { readonly at: string[]; readonly path: string }[] {
  if (place !== undefined && isRemote(place)) return []
  const own = place ?? directory
  const dockerfile = resolve(own, file)
  // One of the context is read as the context is: links in it lead to nothing outside.
  const isOutside = !isWithin(own, dockerfile)
  return [
    { at: ['build', 'context'], path: own },
    ...(isOutside ? [{ at: ['build', 'dockerfile'], path: dockerfile }] : []),
  ]
}

/** What a further context reads of the host. */
function contextPaths(value: string, { directory }: PolicyContext): string[] {
  const written = parseBuildContext(value)
  if (written.kind === 'service' || written.kind === 'remote') return []
  if (written.kind === 'image') return imagePathOf(written.reference, directory)
  return [written.kind === 'layout' ? resolve(directory, written.directory) : value]
}

interface NamedCache {
  readonly at: (string | number)[]
  readonly cache: BuildCache
}

function cachesOf(build: BuildDefinition): NamedCache[] {
  return (['cache_from', 'cache_to'] as const).flatMap((key) =>
    (build[key] ?? []).map((text, index) => ({
      at: ['build', key, index],
      cache: parseBuildCache(text),
    })),
  )
}

/** An image that is built under a name that others use would be theirs from then on. */
function nameBreaches(
  build: BuildDefinition,
  image: string | undefined,
  { context, stack }: { readonly context: PolicyContext; readonly stack: string },
): Breach[] {
  const names = [
    ...(image === undefined ? [] : [{ at: ['image'], name: image }]),
    ...(build.tags ?? []).map((name, index) => ({ at: ['build', 'tags', index], name })),
    ...cachesOf(build).flatMap(({ at, cache }) =>
      at[1] === 'cache_to' && cache.kind === 'registry' ? [{ at, name: cache.reference }] : [],
    ),
  ]
  return names
    .filter(
      ({ name }) =>
        !isOwnImage(name, { stack, others: context.others }) &&
        !context.allow.external.includes(name),
    )
    .map(({ at, name }) => ({
      at,
      what: `to build the image "${name}", whose name is not the stack's own`,
      option: `--allow-external ${name}`,
    }))
}

/** `STACK`, `STACK-…` or `STACK_…` is one of the parts of its path, and that is not the name of another stack. */
function isOwnImage(
  name: string,
  names: { readonly stack: string; readonly others: readonly string[] },
): boolean {
  return name.split('/').some((part) => ownerOf(part, /^[-_:@]?$/, names) === names.stack)
}

function privilegeBreaches(build: BuildDefinition, { allow }: PolicyContext): Breach[] {
  if (allow.privileged) return []
  const forbidden = (['privileged', 'entitlements', 'ssh', 'network'] as const).filter((key) =>
    key === 'network'
      ? !['', 'none', 'default'].includes(build.network ?? '')
      : build[key] !== undefined && build[key] !== false,
  )
  const option = '--allow-privileged'
  return forbidden.map((key) => ({ at: ['build', key], what: `build.${key}`, option }))
}
