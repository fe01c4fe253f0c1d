/**
 * `.dockerignore` and `--exclude`: patterns of paths, the last one that matches decides (moby/patternmatcher). A pattern
 * that matches a directory matches all below it; `!` takes back.
 */
import { TsstackError } from '../errors.ts'
import path from 'node:path'
import { compileGlob, type Glob } from './glob.ts'

export interface IgnorePatterns {
  /** @param file - relative, without a slash in front */
  readonly ignores: (file: string) => boolean
  /** Nothing is ignored. */
  readonly isEmpty: boolean
  /** Something below an ignored directory may be taken back. */
  readonly hasExceptions: boolean
}

interface Pattern {
  readonly matches: Glob
  readonly isException: boolean
}

const MAX_PATTERNS = 10_000

function compile(line: string): Pattern | undefined {
  const isException = line.startsWith('!')
  const written = (isException ? line.slice(1) : line).trim()
  const cleaned = path.posix.normalize(written).replace(/^\/+/, '').replace(/\/+$/, '')
  if (isException && written === '')
    throw new TsstackError('INVALID_ARGUMENT', 'Cannot use pattern "!": it takes back nothing')
  if (written === '' || cleaned === '' || cleaned === '.') return undefined
  return { matches: compileGlob(cleaned), isException }
}

/** Directories whose matches are remembered: files come in the order of their directories. */
const MAX_DIRECTORIES = 10_000

/** By pattern: whether it matches a path or a directory that holds it. */
function createMatcher(patterns: readonly Pattern[]): (file: string) => readonly boolean[] {
  const directories = new Map<string, readonly boolean[]>()
  const matchesOf = (file: string): readonly boolean[] => {
    const slash = file.lastIndexOf('/')
    const above = slash < 0 ? undefined : matchesOfDirectory(file.slice(0, slash))
    return patterns.map(({ matches }, index) => above?.[index] === true || matches(file))
  }
  const matchesOfDirectory = (directory: string): readonly boolean[] => {
    const known = directories.get(directory)
    if (known !== undefined) return known
    const found = matchesOf(directory)
    if (directories.size >= MAX_DIRECTORIES) directories.clear()
    directories.set(directory, found)
    return found
  }
  return matchesOf
}

/** @throws {INVALID_ARGUMENT} */
export function readIgnorePatterns(lines: readonly string[]): IgnorePatterns {
  const patterns = lines.flatMap((line) => compile(line) ?? [])
  if (patterns.length > MAX_PATTERNS)
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot read .dockerignore: it has more than ${MAX_PATTERNS} patterns`,
    )
  const matchesOf = createMatcher(patterns)
  return {
    isEmpty: patterns.length === 0,
    hasExceptions: patterns.some(({ isException }) => isException),
    ignores(file) {
      const matched = matchesOf(file)
      let isIgnored = false
      for (const [index, { isException }] of patterns.entries())
        if (isException === isIgnored && matched[index] === true) isIgnored = !isException
      return isIgnored
    },
  }
}

/** The patterns of a `.dockerignore` file: a line each, comments begin with `#`. */
export function ignoreLines(text: string): string[] {
  return text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.trim())
    .filter((line) => line !== '')
}
