/**
 * Patterns of .dockerignore, and of `ignore` and `include` in `develop.watch`: which paths they name. The grammar and the
 * order of decisions are those of moby's patternmatcher (MatchesOrParentMatches):
 *
 *   pattern   what Go's filepath.Match knows (`*` `?` `[a-z]` `[^a-z]` `\x`, none of which crosses a `/`), and `**` for
 *             any number of directories; `!` in front takes back what an earlier one named
 *   decision  the patterns in their order, the last one that names the path or a directory above it counts
 *
 * Pure. Paths are relative, with `/`, without `.` and `..`.
 */
import { posix } from 'node:path'
import { TsstackError } from '../errors.ts'

export interface IgnorePatterns {
  /** Whether the patterns name the path, or a directory above it that no later pattern takes back. */
  matches(path: string): boolean
  /** Whether they name the directory and all that can be below it: it need not be entered. */
  matchesAllBelow(directory: string): boolean
}

interface Pattern {
  readonly isException: boolean
  readonly text: string
  readonly names: (path: string) => boolean
}

/**
 * The patterns of an ignore file, in their order: without comments, blanks, and the slash that stands for the root.
 * (moby patternmatcher/ignorefile)
 */
export function parseIgnoreFile(text: string): string[] {
  return text
    .replace(/^\ufeff/, '')
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => {
      const isException = line.startsWith('!')
      const path = clean(isException ? line.slice(1).trim() : line)
      const relative = path.length > 1 && path.startsWith('/') ? path.slice(1) : path
      return isException ? `!${relative}` : relative
    })
}

/** @throws {INVALID_ARGUMENT} naming the pattern that can't be read */
export function compileIgnorePatterns(texts: readonly string[]): IgnorePatterns {
  const patterns = texts
    .map((text) => text.trim())
    .filter((text) => text !== '')
    .map(toPattern)
  const matches = (path: string): boolean => isNamed(patterns, path)
  return {
    matches,
    matchesAllBelow: (directory) =>
      matches(directory) &&
      !patterns.some((pattern) => pattern.isException && reachesBelow(pattern, directory)),
  }
}

function toPattern(text: string): Pattern {
  const isException = text.startsWith('!')
  const path = isException ? text.slice(1) : text
  if (path === '') throw invalid(text, 'there is nothing after "!"')
  const cleaned = clean(path)
  return { isException, text: cleaned, names: compile(cleaned) }
}

function isNamed(patterns: readonly Pattern[], path: string): boolean {
  if (path === '' || path === '.') return false
  const candidates = [path, ...directoriesAbove(path)]
  let named = false
  for (const pattern of patterns) {
    // One that names can change nothing for what is named already, one that takes back nothing for what is not.
    if (pattern.isException !== named) continue
    if (candidates.some((candidate) => pattern.names(candidate))) named = !pattern.isException
  }
  return named
}

function directoriesAbove(path: string): string[] {
  const above: string[] = []
  for (let end = path.indexOf('/'); end > 0; end = path.indexOf('/', end + 1))
    above.push(path.slice(0, end))
  return above
}

/** Whether something below a directory may match, though the directory itself does not. */
function reachesBelow({ text }: Pattern, directory: string): boolean {
  const segments = text.split('/')
  const depth = directory.split('/').length
  const above = segments.slice(0, depth)
  if (above.some((segment) => segment.includes('**'))) return true
  return segments.length > depth && compile(above.join('/'))(directory)
}

function clean(path: string): string {
  const normal = posix.normalize(path)
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal
}

function invalid(pattern: string, state: string): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', `Cannot use pattern "${pattern}": ${state}`)
}

const SPECIAL = /[*?[\\]/

/** A function that says whether a whole path matches. `**name` is special as in moby: any path that ends in "name". */
function compile(pattern: string): (path: string) => boolean {
  if (pattern.startsWith('**') && !SPECIAL.test(pattern.slice(2))) {
    const suffix = pattern.slice(2)
    return (path) => path.endsWith(suffix) || (suffix.startsWith('/') && path === suffix.slice(1))
  }
  const expression = new RegExp(`^${expressionOf(pattern)}$`, 'su')
  return (path) => expression.test(path)
}

/** Each turn takes one element of the pattern: `**`, `*`, `?`, a class, an escaped character, or a plain one. */
const ELEMENT = /\*\*\/?|\*|\?|\[(?:\\.|[^\\\]])*\]|\\.|[^[\\]/suy

function expressionOf(pattern: string): string {
  let expression = ''
  ELEMENT.lastIndex = 0
  while (ELEMENT.lastIndex < pattern.length) {
    const element = ELEMENT.exec(pattern)?.[0]
    if (element === undefined) throw invalid(pattern, 'a "[" is not closed, or a "\\" ends it')
    expression += elementExpression(element, {
      pattern,
      isLast: ELEMENT.lastIndex === pattern.length,
    })
  }
  return expression
}

function elementExpression(
  element: string,
  { pattern, isLast }: { readonly pattern: string; readonly isLast: boolean },
): string {
  if (element.startsWith('**')) return isLast ? '.*' : '(?:.*/)?'
  if (element === '*') return '[^/]*'
  if (element === '?') return '[^/]'
  if (element.startsWith('[')) return classExpression(element, pattern)
  return literal(element.startsWith('\\') ? element.slice(1) : element)
}

/** Of a class: a range, or one character. */
const MEMBER = /((?:\\.|[^\\-]))(?:-((?:\\.|[^\\-])))?/suy

function classExpression(element: string, pattern: string): string {
  const isNegated = element.startsWith('[^')
  const body = element.slice(isNegated ? 2 : 1, -1)
  let members = ''
  MEMBER.lastIndex = 0
  while (MEMBER.lastIndex < body.length) {
    const [, from, to] = MEMBER.exec(body) ?? []
    if (from === undefined) throw invalid(pattern, 'a range in "[…]" lacks an end')
    const unescape = (text: string): string => literal(text.replace(/^\\/, ''), '-')
    members += to === undefined ? unescape(from) : `${unescape(from)}-${unescape(to)}`
  }
  if (members === '') throw invalid(pattern, 'there is nothing between "[" and "]"')
  return isNegated ? `[^/${members}]` : `[${members}]`
}

/** @param alsoSpecial - what means something more where it stands */
function literal(character: string, alsoSpecial?: string): string {
  const isSpecial = /[\^$\\.*+?()[\]{}|/]/.test(character) || character === alsoSpecial
  return isSpecial ? `\\${character}` : character
}
