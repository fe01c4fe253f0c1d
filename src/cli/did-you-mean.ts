/** Number of single-letter edits between two words (Levenshtein), for words of a command line's length. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= to.length; j += 1) {
      const substitution = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution))
    }
    row = next
  }
  return row[to.length] ?? 0
}

const MAX_WORD = 64

/**
 * `; did you mean "x"?` for the nearest known word, or an empty string when none is near.
 * Near: at most a third of the word differs, or one is the beginning of the other.
 */
export function didYouMean(word: string, known: readonly string[]): string {
  if (word.length > MAX_WORD) return ''
  const ranked = known
    .map((candidate) => ({ candidate, edits: distance(word, candidate) }))
    .sort((a, b) => a.edits - b.edits)
  const best = ranked[0]
  if (best === undefined) return ''
  const near = best.edits <= Math.max(word.length > 1 ? 1 : 0, Math.floor(word.length / 3))
  const prefixed =
    word.length >= 3 ? known.find((candidate) => candidate.startsWith(word)) : undefined
  const answer = near ? best.candidate : prefixed
  return answer === undefined ? '' : `; did you mean "${answer}"?`
}
