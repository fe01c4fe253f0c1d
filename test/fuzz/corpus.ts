/**
 * What is mutated: the projects of the conformance cases where they are there (beside the repository), else our examples
 * and the wrong files of the tests. Files are in memory: no mutation reaches the machine's.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { FileAccess, LoadOptions } from '../../src/spec/load-options.ts'

const ROOT = join(import.meta.dirname, '..', '..')
/** The data beside the repository; without it the corpus is small, and most mutations break it. */
export const CASES = join(ROOT, '..', 'shared', 'conformance')
const MAX_FILE_BYTES = 65_536

export interface Project {
  readonly name: string
  /** By absolute path. */
  readonly files: ReadonlyMap<string, Buffer>
  /** The stack files: what is mutated first. */
  readonly stackFiles: readonly string[]
  readonly options: Omit<LoadOptions, 'fs'>
}

/** All projects, in an order that is always the same. */
export function readCorpus(): readonly Project[] {
  const own = [...ownProjects()]
  return existsSync(join(CASES, 'index.json')) ? [...conformanceProjects(), ...own] : own
}

interface CaseEntry {
  readonly id: string
  readonly dir: string
  readonly type: string
  readonly cwd?: string
  readonly files?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly env_files?: readonly string[]
  readonly profiles?: readonly string[]
  readonly services?: readonly string[]
}

function* conformanceProjects(): Generator<Project> {
  const index = JSON.parse(readFileSync(join(CASES, 'index.json'), 'utf8')) as
    readonly CaseEntry[] | { readonly cases: readonly CaseEntry[] }
  for (const one of 'cases' in index ? index.cases : index) {
    const directory = join(CASES, one.dir)
    const cwd = join(directory, one.cwd ?? '.')
    const stackFiles = (one.files ?? []).map((file) => join(cwd, file))
    const files = new Map(filesBelow(directory))
    if (!stackFiles.every((file) => files.has(file))) continue
    yield {
      name: one.id,
      files,
      stackFiles,
      options: {
        cwd,
        env: one.env ?? {},
        files: stackFiles,
        envFiles: one.env_files ?? [],
        profiles: one.profiles ?? [],
        services: one.services ?? [],
      },
    }
  }
}

function* ownProjects(): Generator<Project> {
  for (const directory of ['examples/hello', 'examples/shop', 'test/spec/wrong-files']) {
    const cwd = join(ROOT, directory)
    const files = new Map(filesBelow(cwd))
    for (const file of files.keys()) {
      if (!file.endsWith('.yaml')) continue
      const options = { cwd, env: {}, files: [file] }
      yield { name: file.slice(ROOT.length + 1), files, stackFiles: [file], options }
    }
  }
}

function* filesBelow(directory: string): Generator<readonly [string, Buffer]> {
  for (const name of readdirSync(directory).sort()) {
    const path = join(directory, name)
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat?.isDirectory() === true) yield* filesBelow(path)
    else if (stat !== undefined && stat.size <= MAX_FILE_BYTES && name !== 'expected.json')
      yield [path, readFileSync(path)]
  }
}

/** Only these files are there. */
export function filesInMemory(files: ReadonlyMap<string, Buffer>): FileAccess {
  const directories = new Set(['/'])
  for (const file of files.keys()) {
    for (let path = dirname(file); !directories.has(path); path = dirname(path))
      directories.add(path)
  }
  return {
    readFile: (path) => {
      const bytes = files.get(path)
      if (bytes === undefined) throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' })
      return bytes
    },
    exists: (path) => files.has(path) || directories.has(path),
    isDirectory: (path) => directories.has(path),
  }
}
