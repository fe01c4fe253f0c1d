/**
 * Text -> the YAML library's documents, within bounds. The library makes an object of each token and of each mistake, of
 * which a hostile file can have as many as it has characters: it is given no more of either than a file needs.
 */
import { Composer, Lexer, Parser } from 'yaml'
import type { CST, Document } from 'yaml'

/** Some 20,000 services written as JSON; at worst it takes 2 GB. */
const MAX_TOKENS = 4_000_000
const MAX_DOCUMENTS = 10_000
/** Mistakes, and directives such as `%YAML`. */
const MAX_ODDITIES = 100

export interface YamlDocuments {
  readonly documents: readonly Document[]
  /** Why the rest of the text was not looked at. */
  readonly refused?: string
}

interface Reading {
  refused: string | undefined
}

/**
 * The documents of a text, with what is wrong in them.
 * @throws {RangeError} when it is nested more deeply than the stack allows
 */
export function yamlDocuments(text: string): YamlDocuments {
  // Only text is wanted of the schema (failsafe): what a plain scalar means is decided elsewhere. Duplicate keys are looked
  // for there too, for the library compares each key with all before it.
  const composer = new Composer({
    schema: 'failsafe',
    version: '1.2',
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'silent',
  })
  boundErrors(composer)
  const reading: Reading = { refused: undefined }
  const documents = [...composer.compose(tokensOf(text, reading), false, text.length)]
  return reading.refused === undefined ? { documents } : { documents, refused: reading.refused }
}

/** The library has no word for this: what it does with a mistake is a field of its own. A test holds it. */
function boundErrors(composer: Composer): void {
  const own = composer as unknown as { onError: (...mistake: readonly unknown[]) => void }
  const tell = own.onError
  let count = 0
  own.onError = (...mistake) => {
    if (count++ < MAX_ODDITIES) tell(...mistake)
  }
}

function* tokensOf(text: string, reading: Reading): Generator<CST.Token, void> {
  const parser = new Parser()
  let [tokens, documents, oddities] = [0, 0, 0]
  const isWithinBounds = (token: CST.Token): boolean => {
    if (token.type === 'document') documents++
    if (token.type === 'error' || token.type === 'directive') oddities++
    if (documents > MAX_DOCUMENTS) reading.refused = `more than ${String(MAX_DOCUMENTS)} documents`
    return documents <= MAX_DOCUMENTS && oddities <= MAX_ODDITIES
  }
  for (const lexeme of new Lexer().lex(text)) {
    if (++tokens > MAX_TOKENS) {
      reading.refused = `more than ${String(MAX_TOKENS)} tokens`
      return
    }
    for (const token of parser.next(lexeme)) {
      if (!isWithinBounds(token)) return
      yield token
    }
  }
  yield* parser.end()
}
