/** Reads instructions: what may stand behind each keyword (https://docs.docker.com/reference/dockerfile/). */
import { suggest } from '../../spec/suggest.ts'
import type { Command, Instruction, InstructionBody } from './instruction.ts'
import type { RawInstruction } from './parse-dockerfile.ts'
import { parseTrigger } from './parse-dockerfile.ts'
import { dockerfileError } from './place.ts'
import { readCopy } from './read-copy.ts'
import { readMount } from './read-mount.ts'
import { jsonWords, splitWords, type Escape } from './words.ts'

type Reader = (raw: RawInstruction, escape: Escape) => InstructionBody

const FLAGS: Readonly<Record<string, readonly string[]>> = {
  ADD: ['chown', 'chmod', 'link', 'checksum', 'keep-git-dir', 'exclude', 'unpack'],
  COPY: ['from', 'chown', 'chmod', 'link', 'parents', 'exclude'],
  FROM: ['platform'],
  HEALTHCHECK: ['interval', 'timeout', 'start-period', 'start-interval', 'retries'],
  RUN: ['mount', 'network', 'security', 'device'],
}

const REPEATED = new Set(['mount', 'exclude'])

function checkFlags({ keyword, flags, place }: RawInstruction): void {
  const known = FLAGS[keyword] ?? []
  for (const [index, { name }] of flags.entries()) {
    const isFirst = flags.findIndex((flag) => flag.name === name) === index
    if (!isFirst && !REPEATED.has(name))
      throw dockerfileError(place, `${keyword} has the flag "--${name}" twice`)
    if (known.includes(name)) continue
    const near = suggest(name, known)
    throw dockerfileError(
      place,
      `${keyword} has no flag "--${name}"`,
      near === undefined ? undefined : `Did you mean "--${near}"?`,
    )
  }
}

function missing({ keyword, place }: RawInstruction, what: string): never {
  throw dockerfileError(place, `${keyword} needs ${what}`)
}

function commandOf(text: string): Command {
  const words = jsonWords(text)
  return words === undefined ? { form: 'shell', line: text } : { form: 'exec', words }
}

const readFrom: Reader = (raw, escape) => {
  const [image = '', as, name, more] = splitWords(raw.rest, escape)
  if (image === '') missing(raw, 'an image')
  if (as !== undefined && (as.toUpperCase() !== 'AS' || name === undefined || more !== undefined))
    throw dockerfileError(raw.place, 'FROM takes an image, or "IMAGE AS NAME"')
  if (name !== undefined && !/^[a-z][a-z0-9_.-]*$/i.test(name))
    throw dockerfileError(
      raw.place,
      `stage name "${name}" is none`,
      'Letters, digits, "_", "." and "-"',
    )
  const platform = raw.flags.find((flag) => flag.name === 'platform')?.value
  return {
    kind: 'from',
    image,
    ...(platform === undefined ? {} : { platform }),
    ...(name === undefined ? {} : { name: name.toLowerCase() }),
  }
}

/** Its first here-document alone is a script; with more on the line the shell reads them itself. */
function runCommand(raw: RawInstruction): { command: Command; script?: string } {
  const [first] = raw.heredocs
  if (first === undefined) return { command: commandOf(raw.rest) }
  const isAlone = raw.heredocs.length === 1 && /^<<-?\S+$/.test(raw.rest)
  if (isAlone && first.content.startsWith('#!'))
    return { command: { form: 'shell', line: first.content }, script: first.content }
  if (isAlone) return { command: { form: 'shell', line: first.content } }
  const bodies = raw.heredocs.map(({ name, content }) => `${content}${name}\n`).join('')
  // Tabs in front are gone already, and with "<<-" the shell finds the end all the same.
  return { command: { form: 'shell', line: `${raw.rest}\n${bodies}` } }
}

const readRun: Reader = (raw) => {
  const flag = (name: string): string | undefined =>
    raw.flags.find((candidate) => candidate.name === name)?.value
  if (raw.rest === '' || jsonWords(raw.rest)?.length === 0) missing(raw, 'a command')
  if (flag('device') !== undefined)
    throw dockerfileError(raw.place, '"--device" needs CDI devices, which this builder has not')
  const [network, security] = [flag('network'), flag('security')]
  return {
    kind: 'run',
    ...runCommand(raw),
    mounts: raw.flags
      .filter(({ name }) => name === 'mount')
      .map(({ value }) => readMount(value, raw.place)),
    ...(network === undefined ? {} : { network }),
    ...(security === undefined ? {} : { security }),
  }
}

/** `A=1 B="x y"`, or of old `A the rest`. */
function readPairs(raw: RawInstruction, escape: Escape): (readonly [string, string])[] {
  const words = splitWords(raw.rest, escape)
  const [first] = words
  if (first === undefined) missing(raw, 'NAME=VALUE')
  if (!first.includes('=')) {
    const value = raw.rest.slice(first.length).trim()
    if (value === '') missing(raw, 'NAME=VALUE')
    return [[first, value]]
  }
  return words.map((word) => {
    const equals = word.indexOf('=')
    if (equals > 0) return [word.slice(0, equals), word.slice(equals + 1)]
    throw dockerfileError(
      raw.place,
      `"${word}" is not NAME=VALUE`,
      'Put values with blanks in quotes',
    )
  })
}

const readArg: Reader = (raw, escape) => {
  const words = splitWords(raw.rest, escape)
  if (words.length === 0) missing(raw, 'a name')
  return {
    kind: 'arg',
    names: words.map((word): [string, string | undefined] => {
      const [name = '', value] = word.split(/=(.*)/s)
      if (!/^[A-Za-z_]\w*$/.test(name))
        throw dockerfileError(raw.place, `"${name}" is no name of a variable`)
      return [name, word.includes('=') ? (value ?? '') : undefined]
    }),
  }
}

const readHealthcheck: Reader = (raw) => {
  const [type = '', rest = ''] = raw.rest.split(/\s+(.*)/s)
  const options = Object.fromEntries(raw.flags.map(({ name, value }) => [name, value]))
  if (type.toUpperCase() === 'NONE') {
    if (rest === '' && raw.flags.length === 0) return { kind: 'healthcheck', options }
    throw dockerfileError(raw.place, 'HEALTHCHECK NONE takes nothing else')
  }
  if (type.toUpperCase() === 'CMD' && rest !== '')
    return { kind: 'healthcheck', command: commandOf(rest), options }
  return missing(raw, 'CMD and a command, or NONE')
}

const readOnbuild: Reader = (raw, escape) => {
  const heredocs = raw.heredocs.map(({ name, content }) => `\n${content}${name}`).join('')
  const trigger = `${raw.rest}${heredocs}`
  const inner = parseTrigger(trigger, raw.place, escape)
  if (['ONBUILD', 'FROM', 'MAINTAINER'].includes(inner.keyword))
    throw dockerfileError(raw.place, `ONBUILD can't hold ${inner.keyword}`)
  readInstruction(inner, escape)
  return { kind: 'onbuild', trigger }
}

function readValue(kind: 'user' | 'stopsignal' | 'maintainer'): Reader {
  return (raw) => (raw.rest === '' ? missing(raw, 'a value') : { kind, value: raw.rest })
}

function readWords(kind: 'expose' | 'volume'): Reader {
  return (raw, escape) => {
    const words =
      (kind === 'volume' ? jsonWords(raw.rest) : undefined) ?? splitWords(raw.rest, escape)
    return words.length === 0 ? missing(raw, 'at least one') : { kind, words }
  }
}

const READERS: Readonly<Record<string, Reader>> = {
  ADD: readCopy,
  ARG: readArg,
  CMD: (raw) => ({ kind: 'cmd', command: commandOf(raw.rest) }),
  COPY: readCopy,
  ENTRYPOINT: (raw) => ({ kind: 'entrypoint', command: commandOf(raw.rest) }),
  ENV: (raw, escape) => ({ kind: 'env', pairs: readPairs(raw, escape) }),
  EXPOSE: readWords('expose'),
  FROM: readFrom,
  HEALTHCHECK: readHealthcheck,
  LABEL: (raw, escape) => ({ kind: 'label', pairs: readPairs(raw, escape) }),
  MAINTAINER: readValue('maintainer'),
  ONBUILD: readOnbuild,
  RUN: readRun,
  SHELL: (raw) => {
    const words = jsonWords(raw.rest)
    return words === undefined || words.length === 0
      ? missing(raw, 'a list in JSON, such as ["/bin/bash", "-c"]')
      : { kind: 'shell', words }
  },
  STOPSIGNAL: readValue('stopsignal'),
  USER: readValue('user'),
  VOLUME: readWords('volume'),
  WORKDIR: (raw) =>
    raw.rest === '' ? missing(raw, 'a directory') : { kind: 'workdir', value: raw.rest },
}

/** @throws {INVALID_ARGUMENT} with file, line and column */
export function readInstruction(raw: RawInstruction, escape: Escape): Instruction {
  checkFlags(raw)
  const reader = READERS[raw.keyword]
  if (reader === undefined) return missing(raw, 'a reader')
  return { ...reader(raw, escape), place: raw.place, text: raw.text }
}
