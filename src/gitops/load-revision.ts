/** A checkout -> what `up` is asked for, or why it may not be: loaded in confinement, held against the policy. */
import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { GitSource } from '../api/gitops-types.ts'
import type { StackSource } from '../api/types.ts'
import { TsstackError } from '../errors.ts'
import { canonicalJson, sha256 } from '../planner/config-hash.ts'
import type { LoadOptions } from '../spec/load-options.ts'
import type { LoadedStack } from '../spec/loaded-stack.ts'
import { loadStack } from '../spec/load-stack.ts'
import type { Finding } from '../spec/finding.ts'
import { STACK_FILES } from '../spec/project-environment.ts'
import type { Service, ServiceVolume, Stack } from '../spec/stack.ts'
import { confinedFiles, isWithin, realOrSame } from './confined-files.ts'
import { digestOfTree, storeContent } from './content-store.ts'
import { decryptedFiles } from './decrypt-files.ts'
import { imagePathOf } from './image-path.ts'
import { imagePolicyFindings, policedImages, type PolicedImage } from './image-policies.ts'
import { policyFindings } from './policy.ts'
import { refuseLarge, sizeFindings } from './size-limits.ts'

const YAML = /\.ya?ml$/

export interface LoadRequest {
  readonly source: GitSource
  /** The checkout, absolute. */
  readonly root: string
  /** Where content-store.ts keeps what containers mount. */
  readonly contentRoot: string
  /** Names of the other stacks of this host: nothing of theirs may be had. */
  readonly others: readonly string[]
}

export interface LoadedRevision {
  readonly source: StackSource
  /** sha256 of the stack and of the content of every file that it reads. */
  readonly digest: string
  /** Places of the content store that its containers mount. */
  readonly directories: readonly string[]
  readonly warnings: readonly string[]
  /** Those that follow a policy. */
  readonly images: readonly PolicedImage[]
}

/**
 * Loads the stack of a checkout. Nothing is changed but the content store.
 * @throws {INVALID_ARGUMENT} SpecError with file, line and column, of mistakes and of what the policy refuses;
 *   {NOT_FOUND} when there is no stack file
 */
export async function loadRevision(request: LoadRequest): Promise<LoadedRevision> {
  const { source } = request
  const root = realOrSame(request.root)
  const { directory, files } = findStack(root, source.path)
  const { others } = request
  const context = { root, directory, allow: source.allow, others, realpath: realOrSame }
  const loaded = await loadDecrypted(source, root, {
    cwd: directory,
    projectDirectory: directory,
    env: {},
    files,
    envFiles: source.envFiles,
    profiles: source.profiles,
    projectName: source.stack,
    check: (stack) => [
      ...policyFindings(stack, context),
      ...missingMounts(stack, root),
      ...imagePolicyFindings(stack),
      ...sizeFindings(stack, source.allow.ports ?? []),
    ],
  })
  const { stack, directories } = await withStoredMounts(loaded.stack, root, request.contentRoot)
  const { contents, workingDir } = loaded
  return {
    source: { stack, files: loaded.files, workingDir, contents },
    digest: await digestOf({ stack, contents, workingDir, files: loaded.files }, root),
    directories,
    warnings: loaded.warnings.map(({ message }) => message),
    images: policedImages(loaded),
  }
}

/** Loads, and decrypts what was asked for, until nothing is. */
async function loadDecrypted(
  { allow, envFiles, ageIdentityFile }: GitSource,
  root: string,
  options: Omit<LoadOptions, 'fs'>,
): Promise<LoadedStack> {
  const confined = confinedFiles(root, [...allow.hostPaths, ...envFiles])
  const { files, decryptWanted } = decryptedFiles(confined, ageIdentityFile)
  for (;;) {
    try {
      const loaded = loadStack({ ...options, fs: files })
      if (!(await decryptWanted())) return loaded
    } catch (error) {
      if (!(await decryptWanted())) throw error
    }
  }
}

/** The directory to look in, or the file; a program is never one. @throws {NOT_FOUND} */
function findStack(root: string, path: string): { directory: string; files: readonly string[] } {
  const place = realOrSame(join(root, path))
  const stat = statSync(place, { throwIfNoEntry: false })
  const where = path === '' ? 'the root of the repository' : `"${path}"`
  if (isWithin(root, place)) {
    if (stat?.isFile() === true && YAML.test(place))
      return { directory: dirname(place), files: [place] }
    const names = STACK_FILES.filter((name) => YAML.test(name))
    if (stat?.isDirectory() === true && names.some((name) => existsSync(join(place, name))))
      return { directory: place, files: [] }
  }
  throw new TsstackError('NOT_FOUND', `Cannot find a stack file in ${where} of this commit`, {
    hint: 'An empty source is never applied; add stack.yaml, or correct --path',
  })
}

/** A folder that is not in git would be made anew for each revision, and what containers wrote there would be lost. */
function missingMounts(stack: Stack, root: string): Finding[] {
  return Object.entries(stack.services).flatMap(([name, { volumes = [] }]) =>
    volumes.flatMap(({ type, source = '' }, index): Finding[] => {
      if (type !== 'bind' || !isWithin(root, source) || existsSync(source)) return []
      const shown = source.slice(root.length + 1)
      return [
        {
          path: ['services', name, 'volumes', index],
          message: `services.${name} mounts "${shown}", which is not in the repository`,
          expected: 'a file or directory of the repository, or a named volume for data',
          suggestion: 'write a name instead of a path, and define it under volumes:',
        },
      ]
    }),
  )
}

/** The stack with each mount of the repository's files at its place in the content store, and read-only. */
async function withStoredMounts(
  stack: Stack,
  root: string,
  contentRoot: string,
): Promise<{ readonly stack: Stack; readonly directories: readonly string[] }> {
  const directories = new Set<string>()
  const stored = new Map<string, Promise<string>>()
  const storedVolume = async (volume: ServiceVolume): Promise<ServiceVolume> => {
    const source = realOrSame(volume.source ?? '')
    if (volume.type !== 'bind' || !isWithin(root, source)) return volume
    const storing = stored.get(source) ?? storeContent(contentRoot, source)
    stored.set(source, storing)
    const place = await storing
    directories.add(place)
    return { ...volume, source: place, read_only: true }
  }
  const services: Record<string, Service> = {}
  for (const [name, service] of Object.entries(stack.services)) {
    const volumes: ServiceVolume[] = []
    for (const volume of service.volumes ?? []) volumes.push(await storedVolume(volume))
    services[name] = service.volumes === undefined ? service : { ...service, volumes }
  }
  return { stack: { ...stack, services }, directories: [...directories] }
}

/** Where the checkout lies says nothing; what it holds of the files that count does. */
async function digestOf(source: StackSource, root: string): Promise<string> {
  const { stack, contents, workingDir } = source
  const read = Object.values(stack.services).flatMap(({ image, build }) => {
    const paths = imagePathOf(image ?? '', workingDir)
    const context = build?.['context']
    return typeof context === 'string' ? [...paths, context] : paths
  })
  const trees: string[] = []
  for (const path of new Set(read))
    if (isWithin(root, path) && existsSync(path)) trees.push(await digestOfTree(path))
  const text = canonicalJson({ stack, contents, trees })
  refuseLarge(text)
  return sha256(text.replaceAll(root, ''))
}
