/** What all phases of one loading share: the files, the environment, and what was found wrong. */
import { openBudget } from './budget.ts'
import type { Budget } from './budget.ts'
import { collectDiagnostics } from './diagnostics.ts'
import type { Diagnostics } from './diagnostics.ts'
import type { Fetched, Lacking } from './fetched.ts'
import type { FileAccess, LoadOptions } from './load-options.ts'
import type { Place } from './node.ts'

export interface Session {
  readonly fs: FileAccess
  readonly home: string | undefined
  readonly interpolate: boolean
  readonly resolvePaths: boolean
  readonly resolveEnvironment: boolean
  readonly fetched: Fetched | undefined
  readonly lacking: Lacking
  readonly budget: Budget
  readonly diagnostics: Diagnostics
}

const MAX_FILE_BYTES = 16 << 20

/** A session with nothing read. */
export function openSession(options: LoadOptions): Session {
  return {
    fs: options.fs,
    home: options.home ?? options.env['HOME'],
    interpolate: options.interpolate ?? true,
    resolvePaths: options.resolvePaths ?? true,
    resolveEnvironment: options.resolveEnvironment ?? true,
    fetched: options.fetched,
    lacking: { remotes: new Set(), modules: new Set() },
    budget: openBudget(),
    diagnostics: collectDiagnostics(),
  }
}

export const NO_SUCH_FILE = 'no such file or directory'

/** The bytes of a file, or why there are none, as a reader would say it: `no such file or directory`. */
export function readBytes(fs: FileAccess, path: string): Uint8Array | string {
  try {
    if (fs.isDirectory(path)) return 'it is a directory'
    const bytes = fs.readFile(path)
    return bytes.length > MAX_FILE_BYTES ? 'it is larger than 16 MiB' : bytes
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown }
    if (code === 'ENOENT' || code === 'ENOTDIR') return NO_SUCH_FILE
    if (code === 'EACCES') return 'permission denied'
    return typeof message === 'string' ? message : String(error)
  }
}

/** The text of a file; undefined when it cannot be read, which is then told at `place`. */
export function readText(session: Session, path: string, place?: Place): string | undefined {
  const bytes = readBytes(session.fs, path)
  if (typeof bytes === 'string') {
    session.diagnostics.error(place, `cannot read ${path}: ${bytes}`, {
      expected: 'the path of a file that is there',
      suggestion: 'create it, or correct the path',
    })
    return undefined
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)
  } catch {
    session.diagnostics.error(place, `cannot read ${path}: not UTF-8 text`)
    return undefined
  }
}
