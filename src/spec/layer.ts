/** A layer: one document of one file, as written, before anything is done to it. */
import { readModule } from './module-document.ts'
import type { MapNode, Node } from './node.ts'
import { parseSource } from './parse.ts'
import type { Environment } from './project-environment.ts'
import { isModule } from './remote-files.ts'
import type { Session } from './session.ts'
import { readText } from './session.ts'
import type { Origin, Source } from './source.ts'

/** One document of a file, as written. */
export interface Layer {
  readonly source: Source
  readonly document: Node
}

export interface SourceContext {
  readonly directory: string
  readonly environment: Environment
  readonly origin?: Origin
}

/** What a file is when it is read, apart from its text. */
export function sourceOf(file: string, text: string, context: SourceContext): Source {
  const { directory, environment, origin } = context
  return {
    file,
    text,
    directory,
    lookup: (name) => environment.get(name),
    ...(origin === undefined ? {} : { origin }),
  }
}

/** The documents of a file; none when it cannot be read, which is told where it was asked for. */
export function readLayers(file: string, context: SourceContext, session: Session): Layer[] {
  if (isModule(file, session)) return readModule(sourceOf(file, '', context), session)
  const text = readText(session, file, context.origin)
  if (text === undefined) return []
  const source = sourceOf(file, text, context)
  return parseSource(source, session.diagnostics).map((document) => ({ source, document }))
}

/** What putting layers together needs. */
export interface Assembly {
  readonly session: Session
  readonly environment: Environment
  /** Files that are being included, outermost first. */
  readonly including: readonly string[]
  /** Makes one tree of layers: `assemble()`, given so that `include` can put together what it reads. */
  readonly assemble: (layers: readonly Layer[], assembly: Assembly) => MapNode | undefined
}
