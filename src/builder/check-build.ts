/** The Dockerfile of a build, read, and what its checks find. */
import type { BuildHost, BuildInput } from './build-input.ts'
import { checkDockerfile, unusedArguments } from './checks/check-dockerfile.ts'
import { findingText } from './checks/finding.ts'
import { dockerfileError } from './dockerfile/place.ts'
import { readDockerfile, targetStage, type Dockerfile } from './dockerfile/stages.ts'
import { readIgnorePatterns } from './ignore-patterns.ts'
import { findContext } from './named-tree.ts'
import { platformArguments } from './platform-arguments.ts'

interface ReadBuild {
  readonly dockerfile: Dockerfile
  readonly platform: Readonly<Record<string, string>>
}

type CheckHost = Pick<BuildHost, 'environmentOf' | 'onFinding'>

/** @throws {INVALID_ARGUMENT} the Dockerfile is wrong; with file, line and column */
export function readBuild(input: BuildInput): ReadBuild {
  const platform = platformArguments(input.target)
  const contexts = new Set(Object.keys(input.additionalContexts).map((name) => name.toLowerCase()))
  const { text, file } = input.dockerfile
  const dockerfile = readDockerfile(text, file, { given: input.args, platform, contexts })
  return { dockerfile, platform }
}

/**
 * Tells what the checks find.
 * @returns how many findings there are
 * @throws {INVALID_ARGUMENT} the first of them, where the Dockerfile has "# check=error=true"
 */
export async function tellFindings(
  input: BuildInput,
  host: CheckHost,
  read: ReadBuild,
): Promise<number> {
  const { file, ignore } = input.dockerfile
  const { findings, isError } = await checkDockerfile({
    ...read,
    ...{ file, args: input.args, ignore: readIgnorePatterns(ignore) },
    environmentOf: async (reference) => {
      const given = findContext(input, reference)
      if (given?.kind === 'directory') return undefined
      return host.environmentOf(given?.reference ?? reference)
    },
  })
  const [first] = findings
  if (isError && first !== undefined)
    throw dockerfileError(
      first.place,
      `${first.rule}: ${first.message}`,
      'Mend it, or leave it out of the checks: "# check=skip=RULE"',
    )
  for (const finding of findings) host.onFinding(findingText(finding))
  return findings.length
}

/** Tells of arguments that were given for nothing. */
export function tellUnused(
  { ownArguments, dockerfile: { file } }: BuildInput,
  { onFinding }: CheckHost,
  { dockerfile }: ReadBuild,
): void {
  const unused = unusedArguments(dockerfile, ownArguments)
  if (unused.length > 0) onFinding(`${file}: no ARG takes the build arguments ${unused.join(', ')}`)
}

/**
 * Reads and checks, and builds nothing.
 * @returns how many findings were told of
 * @throws {INVALID_ARGUMENT} the Dockerfile is wrong; with file, line and column
 */
export async function checkBuild(input: BuildInput, host: CheckHost): Promise<number> {
  const read = readBuild(input)
  targetStage(read.dockerfile, input.target)
  return tellFindings(input, host, read)
}
