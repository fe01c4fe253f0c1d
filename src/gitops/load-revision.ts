/** A checkout -> what `up` is asked for, or why it may not be: loaded in confinement, held against the policy. */
import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { GitSource } from '../api/gitops-types.ts'
import type { StackSource } from '../api/types.ts'
import { TsstackError } from '../errors.ts'
import { canonicalJson, sha256 } from '../planner/config-hash.ts'
import type { FileAccess } from '../spec/load-options.ts'
import { loadStack } from '../spec/load-stack.ts'
import type { Finding } from '../spec/finding.ts'
import { STACK_FILES } from '../spec/project-environment.ts'
import type { Service, Stack } from '../spec/stack.ts'
import { confinedFiles, isWithin, realOrSame } from './confined-files.ts'
import { digestOfTree, storeContent } from './content-store.ts'
import { decryptedFiles } from './decrypt-files.ts'
import { imagePathOf } from './image-path.ts'
import { imagePolicyFindings, policedImages, type PolicedImage } from './image-policies.ts'
import { policyFindings } from './policy.ts'

const YAML = /\.ya?ml$/

export interface LoadRequest {
  readonly source: GitSource
  /** The checkout, absolute. */
  readonly root: string
  /** Where content-store.ts keeps what containers mount. */
  readonly contentRoot: string
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
export function loadRevision(request: LoadRequest): LoadedRevision {
  const { source } = request
  const root = realOrSame(request.root)
  const { directory, files } = findStack(root, source.path)
  const context = { root, directory, allow: source.allow, realpath: realOrSame }
  const loaded = loadStack({
    fs: filesOf(source, root),
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
    ],
  })
  const { stack, directories } = withStoredMounts(loaded.stack, root, request.contentRoot)
  const { contents, workingDir } = loaded
  return {
    source: { stack, files: loaded.files, workingDir, contents },
    digest: digestOf({ stack, contents, workingDir, files: loaded.files }, root),
    directories,
    warnings: loaded.warnings.map(({ message }) => message),
    images: policedImages(loaded),
  }
}

function filesOf({ allow, envFiles, ageIdentityFile }: GitSource, root: string): FileAccess {
  const files = confinedFiles(root, [...allow.hostPaths, ...envFiles])
  return decryptedFiles(files, ageIdentityFile)
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
function withStoredMounts(
  stack: Stack,
  root: string,
  contentRoot: string,
): { readonly stack: Stack; readonly directories: readonly string[] } {
  const directories = new Set<string>()
  const stored = (service: Service): Service => {
    if (service.volumes === undefined) return service
    const volumes = service.volumes.map((volume) => {
      const { type, source = '' } = volume
      if (type !== 'bind' || !isWithin(root, realOrSame(source))) return volume
      const place = storeContent(contentRoot, realOrSame(source))
      directories.add(place)
      return { ...volume, source: place, read_only: true }
    })
    return { ...service, volumes }
  }
  const services = Object.fromEntries(
    Object.entries(stack.services).map(([name, service]) => [name, stored(service)]),
  )
  return { stack: { ...stack, services }, directories: [...directories] }
}

/** Where the checkout lies says nothing; what it holds of the files that count does. */
function digestOf(source: StackSource, root: string): string {
  const { stack, contents, workingDir } = source
  const read = Object.values(stack.services).flatMap(({ image, build }) => {
    const paths = imagePathOf(image ?? '', workingDir)
    const context = build?.['context']
    return typeof context === 'string' ? [...paths, context] : paths
  })
  const trees = [...new Set(read)].filter((path) => isWithin(root, path) && existsSync(path))
  const text = canonicalJson({ stack, contents, trees: trees.map(digestOfTree) })
  return sha256(text.replaceAll(root, ''))
}
