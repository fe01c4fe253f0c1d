/**
 * The pattern of an image policy. It comes from git, and a regular expression of JavaScript can be made to take for ever:
 * RE2 takes time in proportion to the text, and has the syntax that Flux's policies are written in.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { RE2JS } from 're2js'
import { TsstackError } from '../errors.ts'
import type { ImagePolicy } from '../spec/stack.ts'
import type { CandidateTag } from './tag-order.ts'

const MAX_PATTERN = 500
/** Of all tags together; the daemon does its other work in between. */
const MAX_MS = 2000
const SLICE_MS = 5

/**
 * The tags that the pattern lets through, with what is extracted of each.
 * @throws {INVALID_ARGUMENT} no regular expression, or one that takes too long
 */
export async function matchTags(
  { pattern, extract }: ImagePolicy,
  tags: readonly string[],
): Promise<readonly CandidateTag[]> {
  if (pattern === undefined) return tags.map((tag) => ({ tag, key: tag }))
  const expression = await compile(pattern)
  const matched: CandidateTag[] = []
  let [spentMs, sliceAt] = [0, performance.now()]
  for (const tag of tags) {
    const key = keyOf(expression, tag, extract)
    if (key !== undefined) matched.push({ tag, key })
    const sliceMs = performance.now() - sliceAt
    if (sliceMs < SLICE_MS) continue
    spentMs += sliceMs
    if (spentMs > MAX_MS) throw refused(pattern, 'it takes too long')
    await turn()
    sliceAt = performance.now()
  }
  return matched
}

/** @throws {INVALID_ARGUMENT} */
async function compile(pattern: string): Promise<RE2JS> {
  if (pattern.length > MAX_PATTERN) throw refused(pattern.slice(0, MAX_PATTERN), 'it is too long')
  // Hardly anybody needs it, and it has all of Unicode in it.
  const { RE2JS } = await import('re2js')
  try {
    return RE2JS.compile(pattern)
  } catch (error) {
    throw refused(pattern, error instanceof Error ? error.message : String(error))
  }
}

function refused(pattern: string, state: string): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', `Cannot use pattern "${pattern}": ${state}`)
}

function keyOf(expression: RE2JS, tag: string, extract: string | undefined): string | undefined {
  const matcher = expression.matcher(tag)
  if (!matcher.find()) return undefined
  if (extract === undefined) return tag
  const groups = expression.namedGroups()
  return extract.replaceAll(/\$(?:(\w+)|\{(\w+)\}|\$)/g, (whole, bare, braced) => {
    if (whole === '$$') return '$'
    const name = String(bare ?? braced)
    const index = Object.hasOwn(groups, name) ? groups[name] : Number(name)
    // As Go expands it: a group that is not there is empty.
    const isGroup = index !== undefined && index <= matcher.groupCount()
    return isGroup ? (matcher.group(index) ?? '') : ''
  })
}
