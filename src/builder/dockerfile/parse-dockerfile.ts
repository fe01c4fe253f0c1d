/**
 * Dockerfile text to instructions as they are written: lines joined, comments gone, flags and here-documents apart
 * (https://docs.docker.com/reference/dockerfile/; BuildKit, frontend/dockerfile/parser). What an instruction means is in
 * instructions.ts. Our own, because dockerfile-ast 0.7 drops blanks within JSON strings, and takes the content of
 * here-documents and comments between joined lines for arguments.
 */
import { suggest } from '../../spec/suggest.ts'
import { readDirectives, type Directive } from './directives.ts'
import { dockerfileError, type Place } from './place.ts'
import { splitWords, type Escape } from './words.ts'

export interface Heredoc {
  /** After which it is called, as a file. */
  readonly name: string
  readonly content: string
  /** Its delimiter has no quotes: variables in it are expanded. */
  readonly isExpanded: boolean
}

export interface RawInstruction {
  /** In capitals. */
  readonly keyword: string
  /** `--name=value`, without the dashes; a flag without a value has ''. */
  readonly flags: readonly { readonly name: string; readonly value: string }[]
  /** What follows the flags, on one line. */
  readonly rest: string
  readonly heredocs: readonly Heredoc[]
  readonly place: Place
  /** As written, for messages and history: one line. */
  readonly text: string
}

export interface ParsedDockerfile {
  readonly escape: Escape
  /** `# check=`: how findings are gone about. */
  readonly check?: Directive
  readonly instructions: readonly RawInstruction[]
  /** Empty lines between joined ones. */
  readonly emptyContinuations: readonly Place[]
}

export const KEYWORDS = [
  ...['ADD', 'ARG', 'CMD', 'COPY', 'ENTRYPOINT', 'ENV', 'EXPOSE', 'FROM', 'HEALTHCHECK', 'LABEL'],
  ...['MAINTAINER', 'ONBUILD', 'RUN', 'SHELL', 'STOPSIGNAL', 'USER', 'VOLUME', 'WORKDIR'],
] as const

const MAX_BYTES = 1 << 20
const HEREDOC = /^(\d*)<<(-?)([^<]*)$/
const TAKE_HEREDOCS = new Set(['ADD', 'COPY', 'RUN'])

interface Lines {
  readonly file: string
  readonly lines: readonly string[]
  readonly escape: Escape
  readonly emptyContinuations: Place[]
  at: number
}

function isComment(line: string): boolean {
  return line.trimStart().startsWith('#')
}

/** Joins the lines of one instruction; comments and empty lines in between are left out. */
function readLogicalLine(source: Lines): string {
  const { escape } = source
  const continued = escape === '\\' ? /\\[ \t]*$/ : /`[ \t]*$/
  const escaped = `${escape}${escape}`
  let logical = ''
  while (source.at < source.lines.length) {
    const line = source.lines[source.at++] ?? ''
    if (logical !== '' && line.trim() === '')
      source.emptyContinuations.push({ file: source.file, line: source.at, column: 1 })
    if (logical !== '' && (isComment(line) || line.trim() === '')) continue
    if (!continued.test(line) || line.trimEnd().endsWith(escaped)) return logical + line
    logical += line.replace(continued, '')
  }
  return logical
}

/** Words in front that begin with `--`. */
function takeFlags(text: string, escape: Escape): Pick<RawInstruction, 'flags' | 'rest'> {
  const flags: { name: string; value: string }[] = []
  let rest = text.trimStart()
  while (rest.startsWith('--')) {
    const [word = ''] = splitWords(rest, escape)
    rest = rest.slice(word.length).trimStart()
    if (word === '--') break
    const [, name = '', value = ''] = /^--([^=]*)=?([\s\S]*)$/.exec(word) ?? []
    flags.push({ name, value })
  }
  return { flags, rest }
}

/** Without its quotes and escapes. */
function nameOfHeredoc(delimiter: string): string {
  return delimiter.replaceAll(/["'\\]/g, '')
}

function readHeredoc(source: Lines, word: RegExpExecArray, place: Place): Heredoc {
  const [, , dash = '', delimiter = ''] = word
  const name = nameOfHeredoc(delimiter)
  const content: string[] = []
  while (source.at < source.lines.length) {
    const line = source.lines[source.at++] ?? ''
    const text = dash === '-' ? line.replace(/^\t+/, '') : line
    if (text === name)
      return {
        name,
        content: content.map((part) => `${part}\n`).join(''),
        isExpanded: name === delimiter,
      }
    content.push(text)
  }
  throw dockerfileError(
    place,
    `here-document "${name}" does not end`,
    `Write "${name}" on a line of its own`,
  )
}

function checkKeyword(keyword: string, written: string, place: Place): void {
  if (KEYWORDS.some((known) => known === keyword)) return
  const near = suggest(keyword, KEYWORDS)
  throw dockerfileError(
    place,
    `unknown instruction "${written}"`,
    near === undefined ? `Instructions are ${KEYWORDS.join(', ')}` : `Did you mean "${near}"?`,
  )
}

/** Keyword, flags and the rest of one logical line. */
function readInstruction(logical: string, place: Place, escape: Escape): RawInstruction {
  const text = logical.trim()
  const written = /^\S+/.exec(text)?.[0] ?? ''
  const keyword = written.toUpperCase()
  checkKeyword(keyword, written, place)
  const body = text.slice(written.length)
  // Of these the flags come with the instruction that follows, or there are none.
  const hasFlags = !['CMD', 'ENTRYPOINT', 'ENV', 'LABEL', 'ONBUILD', 'SHELL'].includes(keyword)
  const parts = hasFlags ? takeFlags(body, escape) : { flags: [], rest: body.trim() }
  return { keyword, ...parts, heredocs: [], place, text }
}

function heredocsOf(source: Lines, instruction: RawInstruction): readonly Heredoc[] {
  const { keyword, rest, place } = instruction
  const inner = keyword === 'ONBUILD' ? rest.split(/\s/)[0]?.toUpperCase() : keyword
  if (inner === undefined || !TAKE_HEREDOCS.has(inner)) return []
  return splitWords(rest, source.escape).flatMap((word) => {
    const match = HEREDOC.exec(word)
    if (match === null || nameOfHeredoc(match[3] ?? '') === '') return [] // such as 1 << 2
    return [readHeredoc(source, match, place)]
  })
}

/**
 * @param file - what the file is called in errors
 * @throws {INVALID_ARGUMENT} with file, line and column
 */
export function parseDockerfile(text: string, file: string): ParsedDockerfile {
  if (text.length > MAX_BYTES)
    throw dockerfileError({ file, line: 1, column: 1 }, 'it is larger than 1 MiB')
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  const { escape, check } = readDirectives(file, lines)
  const source: Lines = { file, lines, escape, emptyContinuations: [], at: 0 }
  const instructions: RawInstruction[] = []
  while (source.at < lines.length) {
    const line = lines[source.at] ?? ''
    if (line.trim() === '' || isComment(line)) {
      source.at++
      continue
    }
    const column = line.length - line.trimStart().length + 1
    const place = { file, line: source.at + 1, column }
    const instruction = readInstruction(readLogicalLine(source), place, escape)
    instructions.push({ ...instruction, heredocs: heredocsOf(source, instruction) })
  }
  if (instructions.length === 0)
    throw dockerfileError({ file, line: 1, column: 1 }, 'it has no instructions')
  const { emptyContinuations } = source
  return { escape, instructions, emptyContinuations, ...(check === undefined ? {} : { check }) }
}

/** What an ONBUILD holds, or an image's trigger: one instruction, with its here-documents behind it. */
export function parseTrigger(text: string, place: Place, escape: Escape): RawInstruction {
  const lines = text.split('\n')
  const source: Lines = { file: place.file, lines, escape, emptyContinuations: [], at: 1 }
  const instruction = readInstruction(source.lines[0] ?? '', place, escape)
  return { ...instruction, heredocs: heredocsOf(source, instruction) }
}
