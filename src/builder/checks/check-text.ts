/** Checks of how a Dockerfile is written, instruction by instruction. */
import type { ParsedDockerfile, RawInstruction } from '../dockerfile/parse-dockerfile.ts'
import { splitWords, type Escape } from '../dockerfile/words.ts'
import type { Finding } from './finding.ts'

const RESERVED = new Set(['context', 'scratch'])

function writtenKeyword({ text }: RawInstruction): string {
  return /^\S+/.exec(text)?.[0] ?? ''
}

function isUpper(text: string): boolean {
  return text === text.toUpperCase()
}

function isLower(text: string): boolean {
  return text === text.toLowerCase()
}

/** What most are written in counts; where they are even, capitals. */
function checkCasing(instructions: readonly RawInstruction[]): Finding[] {
  const keywords = instructions.map(writtenKeyword)
  const lower = keywords.filter(isLower).length
  const isWanted = lower > keywords.filter(isUpper).length ? isLower : isUpper
  const majority = isWanted === isLower ? 'lowercase' : 'uppercase'
  return instructions.flatMap((instruction) => {
    const keyword = writtenKeyword(instruction)
    if (isWanted(keyword)) return []
    const message = `Command '${keyword}' should match the case of the command majority (${majority})`
    return [{ rule: 'ConsistentInstructionCasing', message, place: instruction.place }]
  })
}

function checkFrom(from: RawInstruction, seen: Set<string>, escape: Escape): Finding[] {
  const { place } = from
  const [, as, name] = splitWords(from.rest, escape)
  if (as === undefined || name === undefined) return []
  const keyword = writtenKeyword(from)
  const found: Omit<Finding, 'place'>[] = []
  if (isUpper(keyword) !== isUpper(as) || isLower(keyword) !== isLower(as))
    found.push({
      rule: 'FromAsCasing',
      message: `'${as}' and '${keyword}' keywords' casing do not match`,
    })
  if (!isLower(name))
    found.push({ rule: 'StageNameCasing', message: `Stage name '${name}' should be lowercase` })
  const folded = name.toLowerCase()
  if (RESERVED.has(folded))
    found.push({
      rule: 'ReservedStageName',
      message: `Stage name should not use the same name as reserved stage "${folded}"`,
    })
  if (seen.has(folded))
    found.push({
      rule: 'DuplicateStageName',
      message: `Duplicate stage name "${name}", stage names should be unique`,
    })
  seen.add(folded)
  return found.map((each) => ({ ...each, place }))
}

function checkLegacyPairs({ keyword, rest, place }: RawInstruction, escape: Escape): Finding[] {
  const [first = ''] = splitWords(rest, escape)
  if ((keyword !== 'ENV' && keyword !== 'LABEL') || first.includes('=')) return []
  const message = `"${keyword} key=value" should be used instead of legacy "${keyword} key value" format`
  return [{ rule: 'LegacyKeyValueFormat', message, place }]
}

function checkMaintainer({ keyword, place }: RawInstruction): Finding[] {
  const message = 'Maintainer instruction is deprecated in favor of using label'
  return keyword === 'MAINTAINER' ? [{ rule: 'MaintainerDeprecated', message, place }] : []
}

export function checkText({
  instructions,
  emptyContinuations,
  escape,
}: ParsedDockerfile): Finding[] {
  const names = new Set<string>()
  return [
    ...checkCasing(instructions),
    ...instructions
      .filter(({ keyword }) => keyword === 'FROM')
      .flatMap((from) => checkFrom(from, names, escape)),
    ...instructions.flatMap((instruction) => [
      ...checkLegacyPairs(instruction, escape),
      ...checkMaintainer(instruction),
    ]),
    ...emptyContinuations.map((place) => ({
      ...{ rule: 'NoEmptyContinuation', message: 'Empty continuation line', place },
    })),
  ]
}
