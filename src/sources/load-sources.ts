/**
 * Loads stacks for whoever the user is: the command line and the library, never the daemon. What the pure loader lacks
 * is brought in here: modules are evaluated, remote files fetched, and then it loads again, until nothing is missing.
 */
import { TsstackError } from '../errors.ts'
import type { Fetched, ModuleValue, RemoteCopy } from '../spec/fetched.ts'
import { NotFetched } from '../spec/fetched.ts'
import type { FileAccess, LoadOptions } from '../spec/load-options.ts'
import type { LoadedStack } from '../spec/loaded-stack.ts'
import { nodeFiles } from './file-access.ts'

/** As the loader's options; files come from this machine. */
export type SourceOptions = Omit<LoadOptions, 'fs' | 'fetched'> & {
  /** Stacks that are values already, by the path that stands for them. */
  readonly values?: ReadonlyMap<string, unknown>
  /** Told each file that is read, or looked for. */
  readonly onLook?: (path: string) => void
}

/** Remote files may name further ones; deeper than this is a circle. */
const MAX_ROUNDS = 50

/**
 * Runs a synchronous reader of stack files until it has all that it needs.
 * @throws {INVALID_ARGUMENT} what the reader throws; {FAILED_PRECONDITION} when remote files name ever more
 */
export async function withSources<T>(
  { values, onLook, ...options }: SourceOptions,
  read: (options: LoadOptions) => T,
): Promise<T> {
  const remotes = new Map<string, RemoteCopy>()
  const modules = new Map<string, ModuleValue>(
    [...(values ?? [])].map(([file, value]) => [file, { value }]),
  )
  const fetched: Fetched = { remotes, modules }
  const fs = onLook === undefined ? nodeFiles : told(nodeFiles, onLook)
  for (let round = 0; round < MAX_ROUNDS; round++) {
    try {
      return read({ ...options, fs, fetched })
    } catch (error) {
      if (!(error instanceof NotFetched)) throw error
      await fetchAll(error, { remotes, modules, env: options.env })
    }
  }
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot load the stack: remote files include each other more than ${String(MAX_ROUNDS)} deep`,
    { hint: 'Look for a repository that includes itself.' },
  )
}

function told(files: FileAccess, onLook: (path: string) => void): FileAccess {
  return {
    ...files,
    readFile: (path) => {
      onLook(path)
      return files.readFile(path)
    },
    exists: (path) => {
      onLook(path)
      return files.exists(path)
    },
  }
}

interface Fetching {
  readonly remotes: Map<string, RemoteCopy>
  readonly modules: Map<string, ModuleValue>
  readonly env: Readonly<Record<string, string>>
}

async function fetchAll(wanted: NotFetched, { remotes, modules, env }: Fetching): Promise<void> {
  const evaluating = wanted.modules.map(async (file) => {
    const { evaluateModule } = await import('./evaluate-module.ts')
    modules.set(file, await evaluateModule(file))
  })
  const fetching = wanted.remotes.map(async (reference) => {
    const { fetchRemote } = await import('./fetch-remote.ts')
    remotes.set(reference, await fetchRemote(reference, env))
  })
  await Promise.all([...evaluating, ...fetching])
}

/** Loads a stack, as `loadStack()` of `spec` does, with whatever it takes. */
export async function loadSources(options: SourceOptions): Promise<LoadedStack> {
  const { loadStack } = await import('../spec/load-stack.ts')
  return withSources(options, loadStack)
}

/**
 * As `loadSources`, with these services active though their profiles are not. Everything else stays in the stack: what
 * is missing there would be an orphan.
 */
export async function loadWithServices(
  options: SourceOptions,
  services: readonly string[],
): Promise<LoadedStack> {
  const loaded = await loadSources({ ...options, focus: services })
  if (services.every((service) => Object.hasOwn(loaded.stack.services, service))) return loaded
  const { stack, contents, disabledServices } = await loadSources({ ...options, services })
  return {
    ...loaded,
    disabledServices,
    stack: {
      ...loaded.stack,
      services: merge(loaded.stack.services, stack.services),
      networks: merge(loaded.stack.networks, stack.networks),
      volumes: merge(loaded.stack.volumes, stack.volumes),
      configs: merge(loaded.stack.configs, stack.configs),
      secrets: merge(loaded.stack.secrets, stack.secrets),
    },
    contents: {
      configs: merge(loaded.contents.configs, contents.configs),
      secrets: merge(loaded.contents.secrets, contents.secrets),
    },
  }
}

function merge<T>(
  all: Readonly<Record<string, T>>,
  more: Readonly<Record<string, T>>,
): Readonly<Record<string, T>> {
  return { ...more, ...all }
}
