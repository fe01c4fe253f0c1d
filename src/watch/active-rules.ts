/** Rules with their filters: patterns compiled, the .dockerignore of each build read. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { parseIgnoreFile } from '../spec/ignore-patterns.ts'
import type { ActiveRule } from './batch-work.ts'
import { ruleFilter, type PlacedPatterns } from './rule-filter.ts'
import type { WatchRule } from './watch-rules.ts'

export interface ActiveRules {
  readonly rules: readonly ActiveRule[]
  /** Ignore files that count, or would if they were there. */
  readonly ignoreFiles: readonly string[]
  /** The same for the same rules with the same patterns. */
  readonly fingerprint: string
}

/** @throws {INVALID_ARGUMENT} for a pattern that can't be read */
export function activeRules(rules: readonly WatchRule[]): ActiveRules {
  const ignoreFiles = new Set<string>()
  const patterns: (PlacedPatterns | undefined)[] = []
  const active = rules.map((rule) => {
    for (const file of ignoreFilesOf(rule)) ignoreFiles.add(file)
    const dockerignore = dockerignoreOf(rule)
    patterns.push(dockerignore)
    return { rule, filter: ruleFilter(rule, dockerignore) }
  })
  return {
    rules: active,
    ignoreFiles: [...ignoreFiles],
    fingerprint: JSON.stringify([rules, patterns]),
  }
}

/** In the order in which they are looked for: the first one there counts alone. */
function ignoreFilesOf({ context, dockerfile }: WatchRule): string[] {
  if (context === undefined) return []
  return [path.resolve(context, `${dockerfile}.dockerignore`), path.join(context, '.dockerignore')]
}

function dockerignoreOf(rule: WatchRule): PlacedPatterns | undefined {
  for (const file of ignoreFilesOf(rule)) {
    const text = readIfThere(file)
    if (text !== undefined)
      return { directory: rule.context ?? '/', patterns: parseIgnoreFile(text) }
  }
  return undefined
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined // missing, or unreadable: then nothing is ignored by it
  }
}
