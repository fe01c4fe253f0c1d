/** Checks of variables: those that nothing declares, and what FROM becomes of defaults alone. */
import { parseReference } from '../../engine/images/reference.ts'
import { suggest } from '../../spec/suggest.ts'
import { expandWord } from '../dockerfile/expand.ts'
import type { Instruction } from '../dockerfile/instruction.ts'
import { valueIn, type Dockerfile, type Stage } from '../dockerfile/stages.ts'
import type { Escape } from '../dockerfile/words.ts'
import { PROXY_ARGUMENTS } from '../platform-arguments.ts'
import type { Finding } from './finding.ts'

/** What expands in an instruction. */
function wordsOf(instruction: Instruction): readonly string[] {
  switch (instruction.kind) {
    case 'env':
    case 'label':
      return instruction.pairs.flat()
    case 'arg':
      return instruction.names.flatMap(([, value]) => value ?? [])
    case 'copy': {
      const { sources, destination, chown = '', chmod = '', checksum = '', exclude } = instruction
      return [...sources, destination, chown, chmod, checksum, ...exclude]
    }
    case 'run':
      return instruction.mounts.flatMap((mount) => Object.values(mount))
    case 'workdir':
    case 'user':
    case 'stopsignal':
      return [instruction.value]
    case 'expose':
    case 'volume':
      return instruction.words
    case 'cmd':
    case 'entrypoint':
    case 'from':
    case 'healthcheck':
    case 'maintainer':
    case 'onbuild':
    case 'shell':
      return []
  }
}

/** Names that a word takes for granted: `${name:-other}` asks whether there is one. */
function undefinedIn(
  words: readonly string[],
  escape: Escape,
  isKnown: (name: string) => boolean,
): Set<string> {
  const found = new Set<string>()
  const lookup = (name: string): string | undefined => (isKnown(name) ? '' : undefined)
  for (const word of words) {
    try {
      expandWord(word, { escape, lookup, onUndefined: (name) => found.add(name) })
    } catch {
      // The build says what is wrong with it.
    }
  }
  return found
}

function suggestion(name: string, candidates: Iterable<string>): string {
  const near = suggest(name, candidates)
  return near === undefined ? '' : ` (did you mean ${near}?)`
}

/** Names of variables while a stage is walked; undefined: the base image is not here to be asked. */
export interface Scope {
  readonly env: ReadonlySet<string> | undefined
}

/** @returns what is found, and the variables that a stage on top of it has */
export function checkVariables(
  { instructions }: Stage,
  base: Scope,
  escape: Escape,
): { readonly findings: readonly Finding[]; readonly scope: Scope } {
  if (base.env === undefined) return { findings: [], scope: base }
  const env = new Set(base.env)
  const args = new Set<string>()
  const isKnown = (name: string): boolean =>
    env.has(name) || args.has(name) || PROXY_ARGUMENTS.has(name)
  const findings = instructions.flatMap((instruction): Finding[] => {
    const { place } = instruction
    const missing = undefinedIn(wordsOf(instruction), escape, isKnown)
    const found = [...missing].map((name) => {
      const near = suggestion(name, [...env, ...args])
      const message = `Usage of undefined variable '$${name}'${near}`
      return { rule: 'UndefinedVar', message, place }
    })
    if (instruction.kind === 'env') for (const [name] of instruction.pairs) env.add(name)
    if (instruction.kind === 'arg') for (const [name] of instruction.names) args.add(name)
    return found
  })
  return { findings, scope: { env } }
}

function isImageName(text: string): boolean {
  try {
    parseReference(text)
    return text !== ''
  } catch {
    return false
  }
}

/** ARG before the first FROM, as it is when nobody gives a value. */
function defaultsOf({ globals, escape }: Dockerfile, platform: Values): Values {
  const defaults: Record<string, string> = {}
  const lookup = (name: string): string | undefined => valueIn(name, defaults, platform)
  for (const instruction of globals)
    for (const [name, value] of instruction.kind === 'arg' ? instruction.names : [])
      if (value !== undefined) defaults[name] = tryExpand(value, escape, lookup) ?? ''
  return defaults
}

type Values = Readonly<Record<string, string>>

function tryExpand(
  word: string,
  escape: Escape,
  lookup: (name: string) => string | undefined,
): string | undefined {
  try {
    return expandWord(word, { escape, lookup })
  } catch {
    return undefined
  }
}

function checkPlatform({ written, name = '', place }: Stage): Finding[] {
  const { platform } = written
  if (platform === undefined) return []
  if (/^\$\{?TARGETPLATFORM\}?$/.test(platform)) {
    const message = `Setting platform to predefined ${platform} in FROM is redundant as this is the default behavior`
    return [{ rule: 'RedundantTargetPlatform', message, place }]
  }
  const architecture = platform.split('/').at(1) ?? platform
  if (platform.includes('$') || name.includes(architecture)) return []
  const message = `FROM --platform flag should not use constant value "${platform}"`
  return [{ rule: 'FromPlatformFlagConstDisallowed', message, place }]
}

export function checkFroms(dockerfile: Dockerfile, platform: Values): Finding[] {
  const { stages, globals, escape } = dockerfile
  const declared = globals.flatMap((each) =>
    each.kind === 'arg' ? each.names.map(([name]) => name) : [],
  )
  const known = new Set([...declared, ...Object.keys(platform)])
  const defaults = defaultsOf(dockerfile, platform)
  return stages.flatMap((stage): Finding[] => {
    const { written, place } = stage
    const words = [written.image, written.platform ?? '']
    const missing = [...undefinedIn(words, escape, (name) => known.has(name))].map((name) => {
      const message = `FROM argument '${name}' is not declared${suggestion(name, known)}`
      return { rule: 'UndefinedArgInFrom', message, place }
    })
    const lookup = (name: string): string | undefined => valueIn(name, defaults, platform)
    const image = tryExpand(written.image, escape, lookup)
    const isWrong = written.image.includes('$') && (image === undefined || !isImageName(image))
    const message = `Default value for ARG ${written.image} results in empty or invalid base image name`
    return [
      ...missing,
      ...(isWrong && missing.length === 0
        ? [{ rule: 'InvalidDefaultArgInFrom', message, place }]
        : []),
      ...checkPlatform(stage),
    ]
  })
}
