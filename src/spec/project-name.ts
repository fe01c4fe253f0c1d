/** The name of a stack (compose-spec 04-version-and-name.md). */
import type { LoadOptions } from './load-options.ts'
import type { Node } from './node.ts'
import { child } from './node.ts'
import { baseNameOf } from './posix-path.ts'
import type { Environment } from './project-environment.ts'
import type { Session } from './session.ts'
import { TemplateError, substitute } from './template.ts'

/** Lower case, without what a name may not have. */
export function normalizeProjectName(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '')
    .replace(/^[_-]+/, '')
}

export interface NameSources {
  readonly options: LoadOptions
  readonly environment: Environment
  readonly workingDir: string
  /** The documents of the stack files, in order, not yet interpolated. */
  readonly documents: readonly Node[]
  readonly session: Session
}

/** `-p`, else `COMPOSE_PROJECT_NAME`, else the last `name:`, else the directory's name. */
export function projectNameOf(sources: NameSources): string {
  const { options, environment, workingDir, documents, session } = sources
  const given = nonEmpty(options.projectName) ?? nonEmpty(environment.get('COMPOSE_PROJECT_NAME'))
  if (given !== undefined) {
    if (normalizeProjectName(given) !== given) {
      session.diagnostics.error(undefined, `invalid project name "${given}"`, {
        expected:
          'lower-case letters, digits, hyphens and underscores only, beginning with a letter or digit',
        suggestion: `use "${normalizeProjectName(given)}"`,
      })
    }
    return given
  }
  const named = documents
    .map((document) => nameIn(document, environment))
    .filter((name) => name !== '')
  const name = normalizeProjectName(named.at(-1) ?? baseNameOf(workingDir))
  if (name === '') {
    session.diagnostics.error(undefined, 'project name must not be empty', {
      suggestion: 'give it with -p, or write `name:` into the stack file',
    })
  }
  return name
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}

function nameIn(document: Node, environment: Environment): string {
  const name = child(document, 'name')
  if (name?.kind !== 'scalar' || typeof name.value !== 'string') return ''
  try {
    return substitute(name.value, (variable) => environment.get(variable))
  } catch (error) {
    // Interpolating the document tells of it.
    if (error instanceof TemplateError) return ''
    throw error
  }
}
