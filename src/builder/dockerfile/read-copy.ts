/** COPY and ADD: sources, destination and flags. */
import type { CopyInstruction } from './instruction.ts'
import type { RawInstruction } from './parse-dockerfile.ts'
import { checkMode } from '../file-mode.ts'
import { dockerfileError } from './place.ts'
import { jsonWords, splitWords, type Escape } from './words.ts'

function flagIn(raw: RawInstruction, name: string): string | undefined {
  return raw.flags.find((flag) => flag.name === name)?.value
}

function switchIn(raw: RawInstruction, name: string): boolean | undefined {
  const value = flagIn(raw, name)?.toLowerCase()
  if (value === undefined) return undefined
  if (['', 'true', '1'].includes(value)) return true
  if (['false', '0'].includes(value)) return false
  throw dockerfileError(raw.place, `"--${name}" is true or false, not "${value}"`)
}

function definedFlags(raw: RawInstruction): Partial<CopyInstruction> {
  const texts = (['from', 'chown', 'chmod', 'checksum'] as const).flatMap((name) => {
    const value = flagIn(raw, name)
    if (value === '') throw dockerfileError(raw.place, `"--${name}" has no value`)
    return value === undefined ? [] : [[name, value] as const]
  })
  const unpack = switchIn(raw, 'unpack')
  return { ...Object.fromEntries(texts), ...(unpack === undefined ? {} : { unpack }) }
}

export function readCopy(raw: RawInstruction, escape: Escape): CopyInstruction {
  const words = jsonWords(raw.rest) ?? splitWords(raw.rest, escape)
  const destination = words.at(-1)
  const names = words.slice(0, -1)
  if (destination === undefined || names.length === 0)
    throw dockerfileError(raw.place, `${raw.keyword} needs at least a source and a destination`)
  const mode = flagIn(raw, 'chmod')
  if (mode !== undefined && !mode.includes('$')) checkMode(mode, raw.place)
  return {
    kind: 'copy',
    isAdd: raw.keyword === 'ADD',
    sources:
      raw.heredocs.length === 0 ? names : names.filter((word) => !/^\d*<<-?[^<]+$/.test(word)),
    heredocs: raw.heredocs,
    destination,
    ...definedFlags(raw),
    exclude: raw.flags.filter(({ name }) => name === 'exclude').map(({ value }) => value),
    parents: switchIn(raw, 'parents') ?? false,
    link: switchIn(raw, 'link') ?? false,
    keepGitDir: switchIn(raw, 'keep-git-dir') ?? false,
  }
}
