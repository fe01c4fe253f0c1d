/**
 * Which paths a rule is about: those below its path that `include` names, if it says any, and that neither `ignore` nor
 * the .dockerignore of the service's build nor one of the built-in patterns names. Pure.
 */
import { compileIgnorePatterns, type IgnorePatterns } from '../spec/ignore-patterns.ts'
import { isWithin, type WatchRule } from './watch-rules.ts'

/** What editors leave beside the files that they save, and the inner life of git: docker/compose pkg/watch/ephemeral.go. */
const BUILT_IN = [
  '**/.git',
  '**/.idea',
  '**/*___jb_old___',
  '**/*___jb_tmp___',
  '**/.*.kate-swp',
  '**/.#*',
  '**/4913',
  '**/*~',
  '**/.*.sw[pxon]',
  '**/*-go-tmp-umask',
]
const builtIn = compileIgnorePatterns(BUILT_IN)

/** Patterns, and the absolute directory that they are relative to. */
export interface PlacedPatterns {
  readonly directory: string
  readonly patterns: readonly string[]
}

export interface RuleFilter {
  /** Whether a change of the path, absolute, is one for the rule. */
  readonly wants: (path: string) => boolean
  /** Whether there can be such a path at or below this one: if not, it need not be read. */
  readonly enters: (path: string) => boolean
}

/** @throws {INVALID_ARGUMENT} for a pattern that can't be read */
export function ruleFilter(rule: WatchRule, dockerignore?: PlacedPatterns): RuleFilter {
  const { path: root, ignore = [], include = [] } = rule
  const ignoring = [
    placed(root, compileIgnorePatterns(ignore)),
    placed(root, builtIn),
    ...(dockerignore === undefined
      ? []
      : [placed(dockerignore.directory, compileIgnorePatterns(dockerignore.patterns))]),
  ]
  const including = include.length === 0 ? undefined : placed(root, compileIgnorePatterns(include))
  return {
    wants: (path) =>
      isWithin(path, root) &&
      // A rule about a single file is about that file, whatever `include` says.
      (path === root || including === undefined || including.matches(path)) &&
      !ignoring.some((patterns) => patterns.matches(path)),
    enters: (path) =>
      isWithin(path, root)
        ? !ignoring.some((patterns) => patterns.matchesAllBelow(path))
        : isWithin(root, path),
  }
}

/** Patterns for absolute paths; what is not below the directory is not named. */
function placed(directory: string, patterns: IgnorePatterns): IgnorePatterns {
  const below = (path: string): string | undefined =>
    path !== directory && isWithin(path, directory)
      ? path.slice(directory.endsWith('/') ? directory.length : directory.length + 1)
      : undefined
  const ask = (question: 'matches' | 'matchesAllBelow', path: string): boolean => {
    const relative = below(path)
    return relative !== undefined && patterns[question](relative)
  }
  return {
    matches: (path) => ask('matches', path),
    matchesAllBelow: (path) => ask('matchesAllBelow', path),
  }
}
