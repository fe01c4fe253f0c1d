/** Parser directives: `# escape=`, `# syntax=` and `# check=`, before everything else; others are comments. */
import { dockerfileError, type Place } from './place.ts'
import type { Escape } from './words.ts'

export interface Directive {
  readonly value: string
  readonly place: Place
}

export interface Directives {
  readonly escape: Escape
  readonly check?: Directive
}

const DIRECTIVE = /^#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+)$/
const MAX_LINE = 2000
const KNOWN = new Set(['escape', 'syntax', 'check'])
/** Whatever its registry and version: what this builder reads is their language. */
const FRONTEND = /(?:^|\/)docker\/dockerfile(?:-upstream)?(?:[:@]|$)/

function directivesIn(file: string, lines: readonly string[]): Map<string, Directive> {
  const found = new Map<string, Directive>()
  for (const [index, line] of lines.entries()) {
    const [, written = '', value = ''] = line.length > MAX_LINE ? [] : (DIRECTIVE.exec(line) ?? [])
    if (written === '') break
    const name = written.toLowerCase()
    const place = { file, line: index + 1, column: 1 }
    if (!KNOWN.has(name)) continue
    if (found.has(name)) throw dockerfileError(place, `directive "${written}" is there twice`)
    found.set(name, { value: value.trim(), place })
  }
  return found
}

/** @throws {INVALID_ARGUMENT} with file, line and column */
export function readDirectives(file: string, lines: readonly string[]): Directives {
  const found = directivesIn(file, lines)
  const [escape, syntax, check] = [...KNOWN].map((name) => found.get(name))
  if (escape !== undefined && escape.value !== '\\' && escape.value !== '`')
    throw dockerfileError(escape.place, `escape "${escape.value}" is neither "\\" nor "\`"`)
  if (syntax !== undefined && !FRONTEND.test(syntax.value))
    throw dockerfileError(
      syntax.place,
      `syntax "${syntax.value}" is none that is known here: frontends are not run`,
      'Leave it out, or write docker/dockerfile:1',
    )
  return {
    escape: (escape?.value as Escape | undefined) ?? '\\',
    ...(check === undefined ? {} : { check }),
  }
}
