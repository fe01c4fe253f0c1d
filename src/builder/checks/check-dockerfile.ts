/** All checks of a Dockerfile (https://docs.docker.com/reference/build-checks/), in the order of its lines. */
import type { Dockerfile } from '../dockerfile/stages.ts'
import type { IgnorePatterns } from '../ignore-patterns.ts'
import { readCheckPolicy } from './check-policy.ts'
import { checkSecrets, checkStage } from './check-stage.ts'
import { checkText } from './check-text.ts'
import { checkFroms, checkVariables, type Scope } from './check-variables.ts'
import type { Finding } from './finding.ts'

export interface CheckInput {
  readonly dockerfile: Dockerfile
  readonly file: string
  readonly args: Readonly<Record<string, string>>
  readonly platform: Readonly<Record<string, string>>
  readonly ignore: IgnorePatterns
  /** Variables of an image; undefined: it is not here. */
  readonly environmentOf: (
    reference: string,
  ) => Promise<Readonly<Record<string, string>> | undefined>
}

export interface Checked {
  readonly findings: readonly Finding[]
  /** They end the build. */
  readonly isError: boolean
}

async function scopeOfImage({ environmentOf }: CheckInput, reference: string): Promise<Scope> {
  if (reference.toLowerCase() === 'scratch') return { env: new Set(['PATH']) }
  const environment = await environmentOf(reference)
  if (environment === undefined) return { env: undefined }
  return { env: new Set(['PATH', ...Object.keys(environment)]) }
}

/** Each stage with what it has of the stage below it. */
async function checkStages(input: CheckInput): Promise<Finding[]> {
  const { dockerfile, ignore } = input
  const scopes: Scope[] = []
  const workdirs: boolean[] = []
  const findings: Finding[] = []
  for (const stage of dockerfile.stages) {
    const { base, instructions } = stage
    const below: Scope =
      typeof base === 'number'
        ? (scopes[base] ?? { env: undefined })
        : await scopeOfImage(input, base)
    const { findings: found, scope } = checkVariables(stage, below, dockerfile.escape)
    const hasWorkdir = typeof base === 'number' && workdirs[base] === true
    findings.push(...found, ...checkStage(instructions, { ignore, hasWorkdir }))
    scopes.push(scope)
    workdirs.push(hasWorkdir || instructions.some(({ kind }) => kind === 'workdir'))
  }
  return findings
}

const PREDEFINED = /^(?:BUILDKIT_\w+|SOURCE_DATE_EPOCH|(?:https?|ftp|no|all)_proxy)$/i

/** Names of arguments that nothing takes: no rule, a build is told of them all the same. */
export function unusedArguments(
  { globals, stages }: Dockerfile,
  given: readonly string[],
): string[] {
  const instructions = [...globals, ...stages.flatMap((stage) => stage.instructions)]
  const declared = instructions.flatMap((each) =>
    each.kind === 'arg' ? each.names.map(([name]) => name) : [],
  )
  return given.filter((name) => !declared.includes(name) && !PREDEFINED.test(name))
}

/** @throws {INVALID_ARGUMENT} a `# check=` that is none */
export async function checkDockerfile(input: CheckInput): Promise<Checked> {
  const { dockerfile, file, args, platform } = input
  const policy = readCheckPolicy(
    dockerfile.parsed.check,
    Object.hasOwn(args, 'BUILDKIT_DOCKERFILE_CHECK')
      ? args['BUILDKIT_DOCKERFILE_CHECK']
      : undefined,
    file,
  )
  const findings = [
    ...checkText(dockerfile.parsed),
    ...checkFroms(dockerfile, platform),
    ...dockerfile.globals.flatMap(checkSecrets),
    ...(await checkStages(input)),
  ]
  const shown = findings.filter(({ rule }) => !policy.isSkipped(rule))
  const inOrder = shown.toSorted((a, b) => a.place.line - b.place.line)
  return { findings: inOrder, isError: policy.isError }
}
