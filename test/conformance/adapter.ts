/** In-process adapter for the runner of the Compose conformance cases (its head documents the form). */
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { toConfigModel } from '../../src/spec/config-output.ts'
import { parseDotenv } from '../../src/spec/dotenv.ts'
import { loadStack } from '../../src/spec/load-stack.ts'
import type { FileAccess, LoadOptions } from '../../src/spec/load-options.ts'
import { substitute } from '../../src/spec/template.ts'
import { stackVariables } from '../../src/spec/variables.ts'

export interface ConformanceCase {
  readonly cwd: string
  readonly files: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly envFiles: readonly string[]
  readonly profiles: readonly string[]
  readonly projectName?: string
  readonly projectDirectory?: string
  readonly services: readonly string[]
  readonly options: {
    readonly all_resources?: boolean
    readonly consistency?: boolean
    readonly resolve_env?: boolean
  }
}

export type ConformanceResult =
  { readonly ok: true; readonly model: unknown } | { readonly ok: false; readonly error: string }

export const nodeFiles: FileAccess = {
  readFile: (path) => readFileSync(path),
  exists: existsSync,
  isDirectory: (path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false,
  realpath: (path) => realpathSync(path),
}

function loadOptionsOf(one: ConformanceCase): LoadOptions {
  return {
    fs: nodeFiles,
    cwd: one.cwd,
    env: { HOME: '/home/conformance', PATH: '/usr/bin:/bin', ...one.env },
    home: '/home/conformance',
    files: one.files,
    envFiles: one.envFiles,
    profiles: one.profiles,
    ...(one.projectName === undefined ? {} : { projectName: one.projectName }),
    ...(one.projectDirectory === undefined ? {} : { projectDirectory: one.projectDirectory }),
    services: one.services,
    allResources: one.options.all_resources ?? false,
    consistency: one.options.consistency ?? true,
    readContents: false,
    resolveEnvironment: one.options.resolve_env ?? true,
  }
}

/** @public for the runner */
export function config(one: ConformanceCase): ConformanceResult {
  try {
    return { ok: true, model: toConfigModel(loadStack(loadOptionsOf(one)).stack) }
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) }
  }
}

/** @public for the runner */
export function template(text: string, env: Readonly<Record<string, string>>): string {
  return substitute(text, (name) => env[name])
}

/** @public for the runner */
export function dotenv(
  text: string,
  env: Readonly<Record<string, string>>,
): Record<string, string> {
  return Object.fromEntries(parseDotenv(text, (name) => env[name]))
}

/** @public for the runner */
export function variables(one: ConformanceCase): unknown {
  return stackVariables(loadOptionsOf(one))
}
