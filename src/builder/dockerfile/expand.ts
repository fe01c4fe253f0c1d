/**
 * Variables in words of a Dockerfile, and their quotes and escapes (BuildKit, frontend/dockerfile/shell/lex.go):
 *
 *   $name  ${name}  ${name:-word}  ${name-word}  ${name:+word}  ${name+word}  ${name:?word}  ${name?word}
 *   ${name#pattern}  ##  %  %%   ${name/pattern/word}  ${name//pattern/word}
 */
import { TsstackError } from '../../errors.ts'
import { replaced, withoutPrefix, withoutSuffix } from './shell-pattern.ts'
import type { Escape } from './words.ts'

export interface Expansion {
  readonly escape: Escape
  readonly lookup: (name: string) => string | undefined
  /** Told of variables that have no value, unless the word asks whether they have one. */
  readonly onUndefined?: (name: string) => void
}

const NAME = /^(?:[A-Za-z_]\w*|[0-9@*#?$!-])/
const MAX_LENGTH = 1 << 20

function bad(state: string): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', state)
}

class Expander {
  readonly #text: string
  readonly #expansion: Expansion
  #at = 0

  constructor(text: string, expansion: Expansion) {
    this.#text = text
    this.#expansion = expansion
  }

  /** Up to an unquoted `stop`, or to the end when it is ''. */
  until(stop: string): string {
    let result = ''
    while (this.#at < this.#text.length) {
      const character = this.#text.charAt(this.#at)
      if (character === stop) return result
      result += this.#next(character)
      if (result.length > MAX_LENGTH) throw bad('it is longer than 1 MiB')
    }
    if (stop === '') return result
    throw bad(`"${stop}" is missing`)
  }

  #next(character: string): string {
    if (character === "'") return this.#singleQuoted()
    if (character === '"') return this.#doubleQuoted()
    if (character === '$') return this.#variable()
    this.#at++
    if (character !== this.#expansion.escape) return character
    return this.#text.charAt(this.#at++)
  }

  #singleQuoted(): string {
    const end = this.#text.indexOf("'", this.#at + 1)
    if (end < 0) throw bad("a ' is not closed")
    const content = this.#text.slice(this.#at + 1, end)
    this.#at = end + 1
    return content
  }

  #doubleQuoted(): string {
    let result = ''
    this.#at++
    for (;;) {
      const character = this.#text.charAt(this.#at)
      if (character === '') throw bad('a " is not closed')
      if (character === '"') break
      if (character === '$') result += this.#variable()
      else if (character === this.#expansion.escape) {
        const next = this.#text.charAt(this.#at + 1)
        const isSpecial = next === '"' || next === '$' || next === this.#expansion.escape
        result += isSpecial ? next : character + next
        this.#at += 2
      } else {
        result += character
        this.#at++
      }
    }
    this.#at++
    return result
  }

  #variable(): string {
    this.#at++
    if (this.#text.charAt(this.#at) !== '{') {
      const name = NAME.exec(this.#text.slice(this.#at))?.[0]
      if (name === undefined) return '$'
      this.#at += name.length
      return this.#valueOf(name)
    }
    this.#at++
    const name = NAME.exec(this.#text.slice(this.#at))?.[0]
    if (name === undefined) throw bad('a "${" has no name')
    this.#at += name.length
    const value = this.#modified(name)
    if (this.#text.charAt(this.#at) !== '}') throw bad(`"\${${name}" is not closed`)
    this.#at++
    return value
  }

  #modified(name: string): string {
    const operator = /^(?::[-+?]|[-+?]|##?|%%?|\/\/?|\})/.exec(this.#text.slice(this.#at))?.[0]
    if (operator === undefined) throw bad(`"\${${name}" has a modifier that there is not`)
    if (operator === '}') return this.#valueOf(name)
    this.#at += operator.length
    if (operator.startsWith('/')) return this.#replaced(this.#valueOf(name), operator === '//')
    if (/^[#%]/.test(operator)) return this.#trimmed(this.#valueOf(name), operator)
    return this.#conditional(name, operator, this.#expansion.lookup(name))
  }

  #valueOf(name: string): string {
    const value = this.#expansion.lookup(name)
    if (value === undefined) this.#expansion.onUndefined?.(name)
    return value ?? ''
  }

  #conditional(name: string, operator: string, value: string | undefined): string {
    const word = this.until('}')
    const isSet = operator.startsWith(':')
      ? value !== undefined && value !== ''
      : value !== undefined
    if (operator.endsWith('+')) return isSet ? word : ''
    if (isSet) return value ?? ''
    if (operator.endsWith('-')) return word
    throw bad(`variable "${name}" is not set${word === '' ? '' : `: ${word}`}`)
  }

  #trimmed(value: string, operator: string): string {
    const pattern = this.#raw('}')
    const trim = operator.startsWith('%') ? withoutSuffix : withoutPrefix
    return trim(value, pattern, operator.length === 2)
  }

  #replaced(value: string, isAll: boolean): string {
    const pattern = this.#raw('/')
    this.#at++
    const word = this.until('}')
    return pattern === '' ? value : replaced(value, pattern, { word, isAll })
  }

  /** A pattern: variables in it are expanded, its escapes are its own. */
  #raw(stop: string): string {
    let result = ''
    for (;;) {
      const character = this.#text.charAt(this.#at)
      if (character === '') throw bad(`"${stop}" is missing`)
      if (character === stop) return result
      if (character === '$') result += this.#variable()
      else if (character === '\\') {
        result += this.#text.slice(this.#at, this.#at + 2)
        this.#at += 2
      } else {
        result += character
        this.#at++
      }
    }
  }
}

/**
 * Expands the variables of a word, and takes its quotes and escapes away.
 * @throws {INVALID_ARGUMENT} without a place, which the caller knows
 */
export function expandWord(word: string, expansion: Expansion): string {
  return new Expander(word, expansion).until('')
}
