import { TsstackError } from '../errors.ts'

/**
 * Splits a command into words as a shell does, with quotes and backslashes and nothing else.
 * @throws {INVALID_ARGUMENT} when a quote is not closed
 */
export function splitWords(text: string): readonly string[] {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (let at = 0; at < text.length; at += 1) {
    const letter = text.charAt(at)
    if (letter === '\\' && quote !== "'") {
      at += 1
      word = (word ?? '') + text.charAt(at)
    } else if (quote !== '') {
      if (letter === quote) quote = ''
      else word = (word ?? '') + letter
    } else if (letter === '"' || letter === "'") {
      quote = letter
      word ??= ''
    } else if (/\s/.test(letter)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else {
      word = (word ?? '') + letter
    }
  }
  if (quote !== '')
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot split command "${text}": a quote is not closed`,
    )
  return word === undefined ? words : [...words, word]
}
