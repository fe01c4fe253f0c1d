/**
 * Splits a command string into words as a shell would, without expanding anything (the rules of mattn/go-shellwords,
 * which Compose uses): quotes, backslashes; an unquoted `;`, `&`, `|`, `<`, `>` or a parenthesis ends the command.
 */

type Quote = "'" | '"' | ''

const ENDS = new Set([';', '&', '|', '<', '>', '(', ')'])
const BLANKS = new Set([' ', '\t', '\r', '\n'])

interface Split {
  readonly words: string[]
  /** What ended the command before the text did. */
  readonly end?: string
}

/** The words; undefined when a quote is not closed or the text ends in a backslash. */
export function splitShellWords(text: string): string[] | undefined {
  return split(text)?.words
}

/** The first character that would mean something to a shell; what follows it is no part of the command. */
export function shellOperatorIn(text: string): string | undefined {
  return split(text)?.end
}

function split(text: string): Split | undefined {
  const words: string[] = []
  let word = ''
  let started = false
  let quote: Quote = ''
  let end: string | undefined
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at)
    if (char === '\\' && quote !== "'") {
      at++
      if (at === text.length) return undefined
      word += text.charAt(at)
      started = true
    } else if (quote !== '') {
      if (char === quote) quote = ''
      else word += char
    } else if (char === '"' || char === "'") {
      quote = char
      started = true
    } else if (BLANKS.has(char)) {
      if (started) words.push(word)
      word = ''
      started = false
    } else if (ENDS.has(char)) {
      // `2>file`: a single digit before a redirection belongs to it.
      if (char === '>' && /^\d$/.test(word)) started = false
      end = char
      break
    } else {
      word += char
      started = true
    }
  }
  if (quote !== '') return undefined
  if (started) words.push(word)
  return { words, ...(end === undefined ? {} : { end }) }
}
