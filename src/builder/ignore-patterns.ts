/**
 * `.dockerignore` and `--exclude`: patterns of paths, the last one that matches decides (moby/patternmatcher). A pattern
 * that matches a directory matches all below it; `!` takes back. `*` and `?` stop at a slash, `**` does not.
 */
import { TsstackError } from '../errors.ts'
import path from 'node:path'

export interface IgnorePatterns {
  /** @param file - relative, without a slash in front */
  readonly ignores: (file: string) => boolean
  /** Nothing is ignored. */
  readonly isEmpty: boolean
  /** Something below an ignored directory may be taken back. */
  readonly hasExceptions: boolean
}

interface Pattern {
  readonly expression: RegExp
  readonly isException: boolean
}

const MAX_PATTERNS = 10_000

/** One pattern as a regular expression for whole paths. */
export function globExpression(pattern: string): RegExp {
  let source = ''
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern.charAt(at)
    if (character === '*' && pattern.charAt(at + 1) === '*') {
      at++
      const isDirectory = pattern.charAt(at + 1) === '/'
      if (isDirectory) at++
      source += at >= pattern.length - 1 ? '.*' : '(?:.*/)?'
    } else if (character === '*') source += '[^/]*'
    else if (character === '?') source += '[^/]'
    else if (character === '[') {
      const end = pattern.indexOf(']', at + 2)
      if (end < 0) throw badPattern(pattern, 'a "[" is not closed')
      source += `[${pattern
        .slice(at + 1, end)
        .replace(/^!/, '^')
        .replaceAll('[', '\\[')}]`
      at = end
    } else if (character === '\\') {
      at++
      if (at === pattern.length) throw badPattern(pattern, 'nothing follows its last "\\"')
      source += pattern.charAt(at).replace(/[^\w\s]/, '\\$&')
    } else source += character.replace(/[\^$.|+(){}\]/-]/, '\\$&')
  }
  try {
    return new RegExp(`^${source}$`, 's')
  } catch (cause) {
    throw new TsstackError('INVALID_ARGUMENT', `Cannot use pattern "${pattern}": it is none`, {
      cause,
    })
  }
}

function badPattern(pattern: string, state: string): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', `Cannot use pattern "${pattern}": ${state}`)
}

function compile(line: string): Pattern | undefined {
  const isException = line.startsWith('!')
  const written = (isException ? line.slice(1) : line).trim()
  const cleaned = path.posix.normalize(written).replace(/^\/+/, '').replace(/\/+$/, '')
  if (written === '' || cleaned === '' || cleaned === '.') return undefined
  return { expression: globExpression(cleaned), isException }
}

/** The path and the directories that hold it. */
function withParents(file: string): string[] {
  const parts = file.split('/')
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
}

/** @throws {INVALID_ARGUMENT} */
export function readIgnorePatterns(lines: readonly string[]): IgnorePatterns {
  const patterns = lines.flatMap((line) => compile(line) ?? [])
  if (patterns.length > MAX_PATTERNS)
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot read .dockerignore: it has more than ${MAX_PATTERNS} patterns`,
    )
  return {
    isEmpty: patterns.length === 0,
    hasExceptions: patterns.some(({ isException }) => isException),
    ignores(file) {
      const paths = withParents(file)
      let isIgnored = false
      for (const { expression, isException } of patterns)
        if (isException === isIgnored && paths.some((each) => expression.test(each)))
          isIgnored = !isException
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
