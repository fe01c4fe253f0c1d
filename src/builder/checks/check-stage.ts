/** Checks of what the instructions of one stage mean, beside each other. */
import path from 'node:path'
import type { Instruction } from '../dockerfile/instruction.ts'
import type { IgnorePatterns } from '../ignore-patterns.ts'
import type { Finding } from './finding.ts'

const SECRET = /(?:^|_)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)/i
const PUBLIC = /(?:^|_)public(?:_|$)/i
const ONCE = new Set(['cmd', 'entrypoint', 'healthcheck'])

/** Only the last of them is of use. */
function checkOnce(instructions: readonly Instruction[]): Finding[] {
  return instructions.flatMap(({ kind, place }, index) => {
    const isLast = !instructions.slice(index + 1).some((other) => other.kind === kind)
    if (!ONCE.has(kind) || isLast) return []
    const message = `Multiple ${kind.toUpperCase()} instructions should not be used in the same stage because only the last one will be used`
    return [{ rule: 'MultipleInstructionsDisallowed', message, place }]
  })
}

/** Whoever names a SHELL means to have one. */
function checkForms(instructions: readonly Instruction[]): Finding[] {
  if (instructions.some(({ kind }) => kind === 'shell')) return []
  return instructions.flatMap((instruction) => {
    const { kind, place } = instruction
    if ((kind !== 'cmd' && kind !== 'entrypoint') || instruction.command.form === 'exec') return []
    const message = `JSON arguments recommended for ${kind.toUpperCase()} to prevent unintended behavior related to OS signals`
    return [{ rule: 'JSONArgsRecommended', message, place }]
  })
}

function namesOf(instruction: Instruction): readonly string[] {
  if (instruction.kind === 'env') return instruction.pairs.map(([name]) => name)
  return instruction.kind === 'arg' ? instruction.names.map(([name]) => name) : []
}

export function checkSecrets(instruction: Instruction): Finding[] {
  const { kind, place } = instruction
  return namesOf(instruction)
    .filter((name) => SECRET.test(name) && !PUBLIC.test(name))
    .map((name) => ({
      rule: 'SecretsUsedInArgOrEnv',
      message: `Do not use ARG or ENV instructions for sensitive data (${kind.toUpperCase()} "${name}")`,
      place,
    }))
}

function checkWorkdirs(instructions: readonly Instruction[], isSet: boolean): Finding[] {
  const first = instructions.find(({ kind }) => kind === 'workdir')
  if (isSet || first?.kind !== 'workdir' || /^["']?[/$]/.test(first.value)) return []
  const message = `Relative workdir "${first.value}" can have unexpected results if the base image changes`
  return [{ rule: 'WorkdirRelativePath', message, place: first.place }]
}

function checkPorts(instruction: Instruction): Finding[] {
  if (instruction.kind !== 'expose') return []
  const { words, place } = instruction
  return words.flatMap((word): Finding[] => {
    const [, protocol = ''] = word.split('/')
    const casing = `Defined protocol '${word}' in EXPOSE instruction should be lowercase`
    const format = `EXPOSE instruction should not define an IP address or host-port mapping, found '${word}'`
    const isPlain = !word.replaceAll(/\$\{[^}]*\}/g, '').includes(':')
    return [
      ...(protocol === protocol.toLowerCase() || protocol.includes('$')
        ? []
        : [{ rule: 'ExposeProtoCasing', message: casing, place }]),
      ...(isPlain ? [] : [{ rule: 'ExposeInvalidFormat', message: format, place }]),
    ]
  })
}

/** Sources that are written out, and that the context does not show. */
function checkIgnored(instruction: Instruction, ignore: IgnorePatterns): Finding[] {
  if (instruction.kind !== 'copy' || instruction.from !== undefined) return []
  const { sources, place, isAdd } = instruction
  return sources
    .filter((source) => !/[$*?[]|^[a-z]+:\/\/|^git@/.test(source))
    .filter((source) => {
      const file = path.posix.normalize(`/${source}`).replace(/^\/|\/$/g, '')
      return file !== '' && ignore.ignores(file) && !ignore.hasExceptions
    })
    .map((source) => ({
      rule: 'CopyIgnoredFile',
      message: `Attempting to ${isAdd ? 'Add' : 'Copy'} file "${source}" that is excluded by .dockerignore`,
      place,
    }))
}

export function checkStage(
  instructions: readonly Instruction[],
  { ignore, hasWorkdir }: { readonly ignore: IgnorePatterns; readonly hasWorkdir: boolean },
): Finding[] {
  return [
    ...checkOnce(instructions),
    ...checkForms(instructions),
    ...checkWorkdirs(instructions, hasWorkdir),
    ...instructions.flatMap((instruction) => [
      ...checkSecrets(instruction),
      ...checkPorts(instruction),
      ...checkIgnored(instruction, ignore),
    ]),
  ]
}
