/**
 * Patterns of `${name#pattern}` and its like: `*` and `?` stand for any characters, `\` takes what follows as it is. All ways of
 * matching are followed at once, in a bounded number of steps: a Dockerfile may be a stranger's.
 */
import { TsstackError } from '../../errors.ts'

type Token = '*' | '?' | { readonly literal: string }

const MAX_STEPS = 2_000_000

function readTokens(pattern: string): Token[] {
  const parts = pattern.match(/\\[\s\S]|[\s\S]/g) ?? []
  return parts.map((part) => {
    if (part === '*' || part === '?') return part
    return { literal: part.length === 2 ? part.charAt(1) : part }
  })
}

/** Of one expansion. */
class ShellPattern {
  readonly #tokens: readonly Token[]
  #steps = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  /** Where a match that begins at `start` ends: the first place, or the last; -1: nowhere. */
  end(text: string, start: number, isLongest: boolean): number {
    let found = -1
    let positions = this.#closure([0])
    for (let at = start; ; at++) {
      if (positions.has(this.#tokens.length)) {
        found = at
        if (!isLongest) return found
      }
      if (at === text.length || positions.size === 0) return found
      positions = this.#closure(this.#after(positions, text.charAt(at)))
    }
  }

  #after(positions: ReadonlySet<number>, character: string): number[] {
    this.#steps += positions.size
    if (this.#steps > MAX_STEPS)
      throw new TsstackError('INVALID_ARGUMENT', 'its pattern takes too long on this value')
    return [...positions].flatMap((position) => {
      const token = this.#tokens[position]
      if (token === '*') return [position]
      if (token === undefined) return []
      return token === '?' || token.literal === character ? [position + 1] : []
    })
  }

  /** A `*` may stand for nothing. */
  #closure(positions: readonly number[]): Set<number> {
    const all = new Set(positions)
    for (const position of all) if (this.#tokens[position] === '*') all.add(position + 1)
    return all
  }
}

function reversed(text: string): string {
  return text.split('').reverse().join('')
}

/** `#`, or `##` for the longest. @throws {INVALID_ARGUMENT} it takes too long */
export function withoutPrefix(value: string, pattern: string, isLongest: boolean): string {
  const end = new ShellPattern(readTokens(pattern)).end(value, 0, isLongest)
  return end < 0 ? value : value.slice(end)
}

/** `%`, or `%%` for the longest. */
export function withoutSuffix(value: string, pattern: string, isLongest: boolean): string {
  const backwards = new ShellPattern(readTokens(pattern).reverse())
  const end = backwards.end(reversed(value), 0, isLongest)
  return end < 0 ? value : value.slice(0, value.length - end)
}

/** `/`, or `//` for all: the first matches, each as long as it can be. */
export function replaced(
  value: string,
  pattern: string,
  { word, isAll }: { readonly word: string; readonly isAll: boolean },
): string {
  const shell = new ShellPattern(readTokens(pattern))
  let result = ''
  let at = 0
  while (at < value.length) {
    const end = shell.end(value, at, true)
    if (end <= at) result += value.charAt(at++)
    else {
      result += word
      at = end
      if (!isAll) break
    }
  }
  return result + value.slice(at)
}
