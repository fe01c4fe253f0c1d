/** `security_opt: seccomp=FILE`: the file's profile in the place of its name, so that the daemon reads no files of users. */
import { resolvePath } from './posix-path.ts'
import type { Model, Plain } from './model.ts'
import { textsIn } from './model.ts'
import type { MapNode, Path } from './node.ts'
import { locate } from './node.ts'
import type { Session } from './session.ts'
import { readText } from './session.ts'

export interface SeccompProfilesOptions {
  readonly root: MapNode
  readonly session: Session
  /** What names of files are relative to, as Compose has it: the project's directory, absolute. */
  readonly workingDir: string
}

/** Those that are no files; a profile itself begins with a brace. */
const BUILT_IN: ReadonlySet<string> = new Set(['', 'unconfined', 'default', 'builtin'])

/** The model with the profiles that its services name; what can't be read, or is no JSON, is told at its place. */
export function withSeccompProfiles(model: Model, options: SeccompProfilesOptions): Model {
  const services = Object.entries(model.services).map(
    ([name, service]) => [name, withProfile(name, service, options)] as const,
  )
  return { ...model, services: Object.fromEntries(services) }
}

function withProfile(name: string, service: Plain, options: SeccompProfilesOptions): Plain {
  const texts = textsIn(service, 'security_opt')
  if (texts.length === 0) return service
  return {
    ...service,
    security_opt: texts.map((text, index) => {
      const [, file = ''] = /^seccomp[=:](.*)$/s.exec(text) ?? []
      if (BUILT_IN.has(file) || file.trimStart().startsWith('{')) return text
      return `seccomp=${profileOf(file, ['services', name, 'security_opt', index], options)}`
    }),
  }
}

/** On one line, so that how the file is laid out changes nothing. */
function profileOf(file: string, path: Path, options: SeccompProfilesOptions): string {
  const { root, session, workingDir } = options
  const place = locate(root, path)
  const text = readText(session, resolvePath(file, workingDir, session.home), place)
  if (text === undefined) return ''
  try {
    return JSON.stringify(JSON.parse(text))
  } catch (error) {
    session.diagnostics.error(place, `cannot read ${file}: ${(error as Error).message}`, {
      path,
      expected: 'a profile in JSON, as Docker has them',
      suggestion: 'correct the file, or name another one',
    })
    return ''
  }
}
