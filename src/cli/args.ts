/**
 * The command line's grammar, that of Docker Compose (pflag): long flags with `=value` or a separate value, short flags
 * that may be grouped (`-it`, `-n5`), `--` ends the flags. Flags and arguments may be mixed, but not for commands with
 * `passthrough` (exec, run): there the first argument ends the flags, and the rest belongs to the program that is run.
 *
 * Beyond Compose: the global flags are accepted after the command too, unless the command has one of that name itself.
 */
import { TsstackError } from '../errors.ts'
import { didYouMean } from './did-you-mean.ts'

/** `seconds` also takes a Go duration: `90`, `1m30s`. */
export type FlagKind = 'bool' | 'text' | 'list' | 'integer' | 'seconds'

export interface Flag {
  readonly name: string
  readonly short?: string
  readonly kind: FlagKind
  /** What the value is called in the help: `SECONDS`. */
  readonly value?: string
  readonly help: string
  /** Accepted, but not shown. */
  readonly hidden?: boolean
  /** The only values that are accepted. */
  readonly choices?: readonly string[]
  /** The subcommands that it belongs to, where its letter means another flag behind another word. */
  readonly words?: readonly string[]
  /** Other spellings, not shown. */
  readonly aliases?: readonly string[]
  /**
   * What follows from it, where that is not what its name says; the help has the reason. `none`: what it asks for is so
   * anyway. `refused`: it is an error.
   */
  readonly effect?: 'none' | 'refused'
}

type FlagValue = boolean | number | string | readonly string[]

/** The values given; what was not given is undefined, false or empty. */
export interface Flags {
  has(name: string): boolean
  bool(name: string): boolean
  text(name: string): string | undefined
  list(name: string): readonly string[]
  number(name: string): number | undefined
}

export interface ParsedArgs {
  readonly flags: Flags
  readonly positional: readonly string[]
}

export interface Grammar {
  readonly flags: readonly Flag[]
  readonly globals: readonly Flag[]
  /** The first argument ends the flags. */
  readonly passthrough: boolean
}

function usageError(message: string, hint?: string): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', message, hint === undefined ? {} : { hint })
}

const DURATION =
  /^(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$/

function parseSeconds(text: string): number | undefined {
  if (/^-?\d+$/.test(text)) return Number(text)
  const match = DURATION.exec(text)
  if (match === null || text === '') return undefined
  const [hours = 0, minutes = 0, seconds = 0, milliseconds = 0] = match
    .slice(1)
    .map((part) => Number(part || 0))
  return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
}

function parseValue(flag: Flag, text: string, spelled: string): FlagValue {
  const invalid = (expected: string): TsstackError =>
    usageError(`invalid argument "${text}" for "${spelled}" flag: ${expected}`)
  switch (flag.kind) {
    case 'bool': {
      if (['true', '1', 't', 'TRUE', 'True'].includes(text)) return true
      if (['false', '0', 'f', 'FALSE', 'False'].includes(text)) return false
      throw invalid('expected true or false')
    }
    case 'integer': {
      if (!/^-?\d{1,15}$/.test(text)) throw invalid('expected a whole number')
      return Number(text)
    }
    case 'seconds': {
      const seconds = parseSeconds(text)
      if (seconds === undefined) throw invalid('expected seconds, or a duration like 1m30s')
      return seconds
    }
    case 'text':
    case 'list': {
      if (flag.choices !== undefined && !flag.choices.includes(text)) {
        throw invalid(`expected one of ${flag.choices.join(', ')}${didYouMean(text, flag.choices)}`)
      }
      return text
    }
  }
}

function toFlags(values: ReadonlyMap<string, FlagValue>): Flags {
  return {
    has: (name) => values.has(name),
    bool: (name) => values.get(name) === true,
    text: (name) => {
      const value = values.get(name)
      return typeof value === 'string' ? value : undefined
    },
    list: (name) => {
      const value = values.get(name)
      return Array.isArray(value) ? (value as readonly string[]) : []
    },
    number: (name) => {
      const value = values.get(name)
      return typeof value === 'number' ? value : undefined
    },
  }
}

/** One pass over the words of a command line. */
class ArgsReader {
  readonly #grammar: Grammar
  readonly #words: readonly string[]
  readonly #values = new Map<string, FlagValue>()
  readonly #positional: string[] = []
  #at = 0

  constructor(grammar: Grammar, words: readonly string[]) {
    this.#grammar = grammar
    this.#words = words
  }

  read(): { values: ReadonlyMap<string, FlagValue>; positional: readonly string[] } {
    for (;;) {
      const word = this.#words[this.#at]
      if (word === undefined) break
      this.#at += 1
      if (word === '--') {
        this.#positional.push(...this.#words.slice(this.#at))
        break
      }
      if (word.startsWith('--')) this.#long(word)
      else if (word.startsWith('-') && word !== '-') this.#shorts(word)
      else if (this.#argument(word)) break
    }
    return { values: this.#values, positional: this.#positional }
  }

  /** @returns true when the rest is not ours to read */
  #argument(word: string): boolean {
    this.#positional.push(word)
    if (!this.#grammar.passthrough) return false
    this.#positional.push(...this.#words.slice(this.#at))
    return true
  }

  #find(matches: (flag: Flag) => boolean): Flag | undefined {
    const [word = ''] = this.#positional
    const fits = (flag: Flag): boolean =>
      matches(flag) && (flag.words === undefined || flag.words.includes(word))
    return this.#grammar.flags.find(fits) ?? this.#grammar.globals.find(fits)
  }

  #set(flag: Flag, value: FlagValue): void {
    if (flag.effect === 'refused' && value !== false)
      throw usageError(`Cannot use --${flag.name}: ${flag.help}`)
    const before = this.#values.get(flag.name)
    if (flag.kind === 'list')
      this.#values.set(flag.name, [
        ...(Array.isArray(before) ? (before as string[]) : []),
        value as string,
      ])
    else this.#values.set(flag.name, value)
  }

  #next(spelled: string): string {
    const value = this.#words[this.#at]
    if (value === undefined) throw usageError(`flag needs an argument: ${spelled}`)
    this.#at += 1
    return value
  }

  #long(word: string): void {
    const equals = word.indexOf('=')
    const name = word.slice(2, equals === -1 ? undefined : equals)
    const flag = this.#find(
      (candidate) => candidate.name === name || candidate.aliases?.includes(name) === true,
    )
    if (flag === undefined) {
      const known = [...this.#grammar.flags, ...this.#grammar.globals].filter(
        (candidate) => candidate.hidden !== true,
      )
      throw usageError(
        `unknown flag: --${name}${didYouMean(
          `--${name}`,
          known.map((candidate) => `--${candidate.name}`),
        )}`,
      )
    }
    const spelled = flag.short === undefined ? `--${name}` : `-${flag.short}, --${name}`
    if (equals !== -1) this.#set(flag, parseValue(flag, word.slice(equals + 1), spelled))
    else if (flag.kind === 'bool') this.#set(flag, true)
    else this.#set(flag, parseValue(flag, this.#next(`--${name}`), spelled))
  }

  #shorts(word: string): void {
    for (let index = 1; index < word.length; index += 1) {
      const letter = word.charAt(index)
      const flag = this.#find((candidate) => candidate.short === letter)
      if (flag === undefined) throw usageError(`unknown shorthand flag: '${letter}' in ${word}`)
      const spelled = `-${letter}, --${flag.name}`
      if (flag.kind === 'bool' && word.charAt(index + 1) !== '=') {
        this.#set(flag, true)
        continue
      }
      const attached = word.slice(index + 1).replace(/^=/, '')
      const text = attached === '' ? this.#next(`'${letter}' in ${word}`) : attached
      this.#set(flag, parseValue(flag, text, spelled))
      return
    }
  }
}

/**
 * Reads the words after the command's name.
 * @throws {INVALID_ARGUMENT} for an unknown flag (with the nearest known one), a missing or a wrong value
 */
export function parseArgs(grammar: Grammar, words: readonly string[]): ParsedArgs {
  const { values, positional } = new ArgsReader(grammar, words).read()
  return { flags: toFlags(values), positional }
}

/**
 * Splits a command line at the command: global flags before it, the words after it.
 * @throws {INVALID_ARGUMENT}
 */
export function splitAtCommand(
  globals: readonly Flag[],
  words: readonly string[],
): {
  readonly before: readonly string[]
  readonly command: string | undefined
  readonly after: readonly string[]
} {
  const { positional } = new ArgsReader({ flags: [], globals, passthrough: true }, words).read()
  const at = words.length - positional.length
  return { before: words.slice(0, at), command: positional[0], after: positional.slice(1) }
}
