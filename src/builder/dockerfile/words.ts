/**
 * Words of an instruction: parted by blanks outside quotes, quotes and escapes kept for the expansion (BuildKit,
 * frontend/dockerfile/parser: parseWords).
 */

/** `\` or, with `# escape=`, a backtick. */
export type Escape = '\\' | '`'

interface Scan {
  readonly text: string
  readonly escape: Escape
}

/** Where a word ends that begins at `start`. */
function endOfWord({ text, escape }: Scan, start: number): number {
  let quote = ''
  for (let at = start; at < text.length; at++) {
    const character = text.charAt(at)
    if (character === escape && quote !== "'") at++
    else if (quote !== '') quote = character === quote ? '' : quote
    else if (character === '"' || character === "'") quote = character
    else if (/\s/.test(character)) return at
  }
  return text.length
}

export function splitWords(text: string, escape: Escape): string[] {
  const words: string[] = []
  for (let at = 0; at < text.length; at++) {
    if (/\s/.test(text.charAt(at))) continue
    const end = endOfWord({ text, escape }, at)
    words.push(text.slice(at, end))
    at = end
  }
  return words
}

/** The words of the JSON form; undefined where the text is none: then it is the plain form. */
export function jsonWords(text: string): string[] | undefined {
  if (!text.trimStart().startsWith('[')) return undefined
  try {
    const value: unknown = JSON.parse(text)
    const isWords = Array.isArray(value) && value.every((word) => typeof word === 'string')
    return isWords ? value : undefined
  } catch {
    return undefined
  }
}
