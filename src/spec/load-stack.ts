/**
 * Text -> Stack: the phases of loading, in their order. Files are found and parsed, interpolated one by one, given what
 * they include and extend, merged; held against the schema; made canonical; completed; narrowed to the services that
 * are wanted; checked; and only then are the files read that those services name.
 *
 * Pure but for the `FileAccess` that it is given.
 */
import { TsstackError } from '../errors.ts'
import { toCanonical } from './canonical.ts'
import { checkConsistency } from './checks.ts'
import { checkSchema } from './check-schema.ts'
import { readContents } from './contents.ts'
import { readLayers, sourceOf } from './layer.ts'
import type { Layer } from './layer.ts'
import { assemble } from './layers.ts'
import type { LoadOptions } from './load-options.ts'
import type { FilePosition, LoadedStack } from './loaded-stack.ts'
import type { Model } from './model.ts'
import { locate } from './node.ts'
import type { MapNode, Path } from './node.ts'
import { normalise } from './normalise.ts'
import { parseSource } from './parse.ts'
import { STACK_FILES, findProject, requestedProfiles } from './project-environment.ts'
import type { Environment, ProjectFiles } from './project-environment.ts'
import { projectNameOf } from './project-name.ts'
import { checkpoint } from './remote-files.ts'
import { selectProfiles, selectServices, withoutUnused } from './selection.ts'
import { resolveServiceFiles } from './service-files.ts'
import { withSeccompProfiles } from './seccomp-profiles.ts'
import type { Session } from './session.ts'
import { openSession } from './session.ts'
import { positionOf } from './source.ts'
import { SpecError, diagnosticAt } from './spec-error.ts'
import type { Stack } from './stack.ts'
import { warnOfSuspicions } from './suspicions.ts'

/**
 * Loads the stack that the options name.
 * @throws {INVALID_ARGUMENT} SpecError with every error that was found; {NOT_FOUND} when there is no stack file;
 *   {NotFetched} with what is to be fetched before it is called again
 */
export function loadStack(options: LoadOptions): LoadedStack {
  const session = openSession(options)
  const project = findProject(options, session)
  const { root, environment, name } = loadTree(options, project, session)
  const all = completeModel({ root, name, options, session })
  const model = wantedModel(all, { root, environment, options, session })
  const stack = toStack(model)
  for (const { path, message, expected, suggestion } of options.check?.(stack) ?? [])
    session.diagnostics.error(locate(root, path), message, { path, expected, suggestion })
  session.diagnostics.throwIfAny()
  const lookup = (variable: string): string | undefined => environment.get(variable)
  const { workingDir } = project
  const reads = options.readContents ?? true
  const contents = reads
    ? readContents(model, { root, session, lookup })
    : { configs: {}, secrets: {} }
  const complete = reads
    ? toStack(withSeccompProfiles(model, { root, session, workingDir }))
    : stack
  session.diagnostics.throwIfAny()
  return {
    stack: complete,
    files: project.files,
    workingDir,
    contents,
    disabledServices: disabledOf(all, options, environment),
    warnings: session.diagnostics.warnings(),
    locate: (path) => positionIn(root, path),
  }
}

/** The path's own place, or that of the attribute that it is part of; not that of what holds everything. */
function positionIn(root: MapNode, path: Path): FilePosition | undefined {
  const { source, offset } = locate(root, path)
  if (source.paths !== undefined || (source === root.source && offset === root.offset))
    return undefined
  return { file: source.file, ...positionOf(source, offset) }
}

export interface LoadedTree {
  readonly root: MapNode
  readonly name: string
  /** With COMPOSE_PROJECT_NAME. */
  readonly environment: Environment
}

/** The files of a project as one tree, interpolated and merged. */
function loadTree(options: LoadOptions, project: ProjectFiles, session: Session): LoadedTree {
  checkpoint(session)
  if (project.files.length === 0) {
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot find a stack file in "${options.cwd}" or above it: no ${STACK_FILES.join(', ')}`,
      { hint: 'Name one with -f, or create stack.yaml.' },
    )
  }
  const named = new Map(project.environment)
  const layers = project.files.flatMap((file) =>
    layersOf(file, { options, project, session, named }),
  )
  checkpoint(session)
  const documents = layers.map(({ document }) => document)
  const { environment, workingDir } = project
  const name = projectNameOf({ options, environment, workingDir, documents, session })
  named.set('COMPOSE_PROJECT_NAME', name)
  const root = assemble(layers, { session, environment: named, including: project.files, assemble })
  // What is left of a tree with mistakes is held against the schema nevertheless: a user wants to see all of them.
  if (root !== undefined && session.lacking.remotes.size === 0)
    checkSchema(root, session.diagnostics)
  checkpoint(session)
  const onlyVersion =
    root !== undefined && [...root.entries.keys()].every((key) => key === 'version')
  if (root === undefined || onlyVersion) throw emptyFile(project)
  return { root, name, environment: named }
}

function emptyFile({ files, workingDir, environment }: ProjectFiles): SpecError {
  const source = sourceOf(files[0] ?? '-', '', { directory: workingDir, environment })
  return new SpecError([
    diagnosticAt({ source, offset: 0 }, 'empty compose file: no services', {
      expected: 'services with at least one service',
      suggestion: 'write services:, and below it a name with an image',
    }),
  ])
}

interface LayerOptions {
  readonly options: LoadOptions
  readonly project: ProjectFiles
  readonly session: Session
  readonly named: Environment
}

function layersOf(file: string, { options, project, session, named }: LayerOptions): Layer[] {
  const context = { directory: project.workingDir, environment: named }
  if (file !== '-') return readLayers(file, context, session)
  const source = sourceOf('-', options.stdin ?? '', context)
  return parseSource(source, session.diagnostics).map((document) => ({ source, document }))
}

interface Completion {
  readonly root: MapNode
  readonly name: string
  readonly options: LoadOptions
  readonly session: Session
}

/** The canonical model of all services, completed. */
function completeModel({ root, name, options, session }: Completion): Model {
  const { diagnostics } = session
  const version = root.entries.get('version')
  if (version !== undefined) {
    diagnostics.warn(
      version,
      'the attribute `version` is obsolete, it will be ignored, please remove it',
    )
  }
  // What can't be read of it is told with what does not fit together: what can't be read is not there.
  const canonical = toCanonical(root, session)
  const model: Model = { ...canonical, name }
  return (options.normalize ?? true) ? normalise(model) : model
}

interface Wanting {
  readonly root: MapNode
  readonly environment: Environment
  readonly options: LoadOptions
  readonly session: Session
}

/** The model narrowed to the services that are wanted, checked, with their environment files read. */
function wantedModel(all: Model, { root, environment, options, session }: Wanting): Model {
  const { diagnostics } = session
  const wanted = options.services ?? []
  const active = selectProfiles(all, requestedProfiles(options, environment), wanted)
  if (options.consistency ?? true) {
    const focus = wanted.length > 0 ? wanted : (options.focus ?? [])
    const known = focus.filter((name) => Object.hasOwn(active.services, name))
    const about = known.length > 0 ? selectServices(active, known) : active
    checkConsistency({ model: active, about, all: all.services, root, diagnostics })
    warnOfSuspicions({ active, all, root, diagnostics })
  }
  diagnostics.throwIfAny()
  const selected = selectServices(active, wanted)
  const kept = options.allResources === true ? selected : withoutUnused(selected)
  if (!session.resolveEnvironment) return kept
  const lookup = (variable: string): string | undefined => environment.get(variable)
  return resolveServiceFiles(kept, { root, session, lookup })
}

function disabledOf(all: Model, options: LoadOptions, environment: Environment): string[] {
  const { services } = selectProfiles(
    all,
    requestedProfiles(options, environment),
    options.services ?? [],
  )
  return Object.keys(all.services).filter((name) => !Object.hasOwn(services, name))
}

function toStack({ extensions, models, ...model }: Model): Stack {
  const hasModels = Object.keys(models).length > 0
  return { ...model, ...(hasModels ? { models } : {}), ...extensions } as unknown as Stack
}
