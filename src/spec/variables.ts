/** The variables that stack files name, for `config --variables`. */
import { textsOf } from './interpolate.ts'
import { readLayers } from './layer.ts'
import type { LoadOptions } from './load-options.ts'
import { findProject } from './project-environment.ts'
import { checkpoint } from './remote-files.ts'
import { openSession } from './session.ts'
import type { TemplateVariable } from './template.ts'
import { templateVariables } from './template.ts'

/**
 * The variables that the stack files of a project name, by name; what they include or extend is not looked at.
 * @throws {INVALID_ARGUMENT} SpecError when a file cannot be read
 */
export function stackVariables(options: LoadOptions): Record<string, TemplateVariable> {
  const session = openSession(options)
  const project = findProject(options, session)
  const context = { directory: project.workingDir, environment: project.environment }
  const layers = project.files.flatMap((file) => readLayers(file, context, session))
  checkpoint(session)
  const texts = layers.flatMap(({ document }) => [...textsOf(document)])
  const variables = texts.flatMap(({ text }) => templateVariables(text))
  return Object.fromEntries(variables.map((variable) => [variable.name, variable]))
}
