/**
 * Patterns of paths (Go's filepath.Match, and moby/patternmatcher for `**`): `*` and `?` stop at a slash, `**` does not,
 * `**` and a slash stand for any directories or none, `[a-z]` and `[^a-z]` for a character, `\` takes what follows as it is.
 *
 * All ways of matching are followed at once: the time is at most the pattern's length times the path's, whatever a stranger
 * writes. A regular expression would try one after the other.
 */
import { TsstackError } from '../errors.ts'

type Token =
  | { readonly kind: 'character'; readonly matches: (character: string) => boolean }
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'star' | 'globstar' }
  /** One after the other: may be left out as a whole; takes anything, and ends behind a slash. */
  | { readonly kind: 'optional' | 'directories' }

/** Says whether a whole path matches. */
export type Glob = (path: string) => boolean

function bad(pattern: string, state: string): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', `Cannot use pattern "${pattern}": ${state}`)
}

/** A whole one, even where UTF-16 has two units for it. */
function characterAt(text: string, at: number): string {
  const code = text.codePointAt(at)
  return code === undefined ? '' : String.fromCodePoint(code)
}

const notSlash = (character: string): boolean => character !== '/'

/** @param start - behind the bracket */
function readClass(
  pattern: string,
  start: number,
): { readonly token: Token; readonly end: number } {
  const isNegated = pattern.charAt(start) === '^'
  const ranges: (readonly [string, string])[] = []
  let at = isNegated ? start + 1 : start
  const next = (): string => {
    if (pattern.charAt(at) === '\\') at++
    const character = characterAt(pattern, at)
    at += character.length
    if (character === '') throw bad(pattern, 'a "[" is not closed')
    return character
  }
  while (pattern.charAt(at) !== ']' || ranges.length === 0) {
    if (pattern.charAt(at) === ']') throw bad(pattern, 'a "[" has nothing in it')
    const from = next()
    const isRange = pattern.charAt(at) === '-' && pattern.charAt(at + 1) !== ']'
    if (isRange) at++
    ranges.push([from, isRange ? next() : from])
  }
  const code = (character: string): number => character.codePointAt(0) ?? 0
  const isIn = (character: string): boolean =>
    ranges.some(([from, to]) => code(character) >= code(from) && code(character) <= code(to))
  const matches = (character: string): boolean =>
    notSlash(character) && isIn(character) !== isNegated
  return { token: { kind: 'character', matches }, end: at + 1 }
}

function readTokens(pattern: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  while (at < pattern.length) {
    const rest = pattern.slice(at, at + 3)
    if (rest === '**/') tokens.push({ kind: 'optional' }, { kind: 'directories' })
    else if (rest.startsWith('**')) tokens.push({ kind: 'globstar' })
    else if (rest.startsWith('*')) tokens.push({ kind: 'star' })
    else if (rest.startsWith('?')) tokens.push({ kind: 'character', matches: notSlash })
    else if (rest.startsWith('[')) {
      const { token, end } = readClass(pattern, at + 1)
      tokens.push(token)
      at = end
      continue
    } else {
      if (rest.startsWith('\\')) at++
      if (at === pattern.length) throw bad(pattern, 'nothing follows its last "\\"')
      const text = characterAt(pattern, at)
      tokens.push({ kind: 'literal', text })
      at += text.length
      continue
    }
    at += rest === '**/' ? 3 : rest.startsWith('**') ? 2 : 1
  }
  return tokens
}

/** The tokens that may come next, with those behind what may be left out. */
class Positions {
  readonly #tokens: readonly Token[]
  readonly #is: Uint8Array
  readonly list: number[] = []

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
    this.#is = new Uint8Array(tokens.length + 1)
  }

  add(position: number): void {
    if (this.#is[position] === 1) return
    this.#is[position] = 1
    this.list.push(position)
    const kind = this.#tokens[position]?.kind
    if (kind === 'star' || kind === 'globstar') this.add(position + 1)
    else if (kind === 'optional') {
      this.add(position + 1)
      this.add(position + 2)
    }
  }

  has(position: number): boolean {
    return this.#is[position] === 1
  }

  clear(): void {
    for (const position of this.list) this.#is[position] = 0
    this.list.length = 0
  }
}

function take(
  token: Token | undefined,
  character: string,
  position: number,
  next: Positions,
): void {
  if (token?.kind === 'literal') {
    if (token.text === character) next.add(position + 1)
  } else if (token?.kind === 'character') {
    if (token.matches(character)) next.add(position + 1)
  } else if (token?.kind === 'star') {
    if (notSlash(character)) next.add(position)
  } else if (token?.kind === 'globstar') next.add(position)
  else if (token?.kind === 'directories') {
    next.add(position)
    if (!notSlash(character)) next.add(position + 1)
  }
}

function matchTokens(tokens: readonly Token[], path: string): boolean {
  let [current, next] = [new Positions(tokens), new Positions(tokens)]
  current.add(0)
  for (const character of path) {
    for (const position of current.list) take(tokens[position], character, position, next)
    current.clear()
    if (next.list.length === 0) return false
    ;[current, next] = [next, current]
  }
  return current.has(tokens.length)
}

/** The characters that stand for themselves, in runs; the first and the last run may be empty. */
function plainRuns(tokens: readonly Token[]): string[] {
  const plain = tokens.map((token) => (token.kind === 'literal' ? token.text : '\0'))
  return plain.join('').split('\0')
}

/** @throws {INVALID_ARGUMENT} a pattern that is none */
export function compileGlob(pattern: string): Glob {
  const tokens = readTokens(pattern)
  if (!/[*?[\\]/.test(pattern)) return (path) => path === pattern
  // Most paths are told by these alone.
  const runs = plainRuns(tokens)
  const [first = '', last = ''] = [runs.at(0), runs.at(-1)]
  const longest = runs.reduce((a, b) => (b.length > a.length ? b : a), '')
  return (path) =>
    path.startsWith(first) &&
    path.endsWith(last) &&
    path.includes(longest) &&
    matchTokens(tokens, path)
}
