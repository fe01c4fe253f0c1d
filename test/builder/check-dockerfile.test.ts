import { expect, it, test } from 'vitest'
import { checkDockerfile, unusedArguments } from '../../src/builder/checks/check-dockerfile.ts'
import { findingText } from '../../src/builder/checks/finding.ts'
import { readDockerfile } from '../../src/builder/dockerfile/stages.ts'
import { readIgnorePatterns } from '../../src/builder/ignore-patterns.ts'
import { platformArguments } from '../../src/builder/platform-arguments.ts'

const platform = platformArguments(undefined)

async function findings(
  text: string,
  given: Readonly<Record<string, string>> = {},
): Promise<{ readonly found: string[]; readonly isError: boolean }> {
  const contexts = new Set<string>()
  const { findings: found, isError } = await checkDockerfile({
    dockerfile: readDockerfile(text, 'Dockerfile', { given, platform, contexts }),
    file: 'Dockerfile',
    args: given,
    platform,
    ignore: readIgnorePatterns(['secret', 'tmp/*']),
    environmentOf: (reference) =>
      Promise.resolve(reference === 'base' ? { FROM_BASE: '1' } : undefined),
  })
  return { found: found.map(findingText), isError }
}

// The examples of https://docs.docker.com/reference/build-checks/, and what they allow.
test.each<[string, ...string[]]>([
  ['FROM base AS Builder', "1:1: StageNameCasing: Stage name 'Builder' should be lowercase"],
  ['FROM base as builder', "1:1: FromAsCasing: 'as' and 'FROM' keywords' casing do not match"],
  ['from base as builder\nrun x'],
  ['FROM base\nRUN a \\\n\n  b', '3:1: NoEmptyContinuation: Empty continuation line'],
  ['FROM base\nRUN a \\\n  # told\n  b'],
  [
    'FROM base\nRun a\nrun b\nRUN c',
    "2:1: ConsistentInstructionCasing: Command 'Run' should match the case of the command majority (uppercase)",
    "3:1: ConsistentInstructionCasing: Command 'run' should match the case of the command majority (uppercase)",
  ],
  [
    'from base\nrun a\nRUN b',
    "3:1: ConsistentInstructionCasing: Command 'RUN' should match the case of the command majority (lowercase)",
  ],
  [
    'FROM base AS a\nFROM base AS a',
    '2:1: DuplicateStageName: Duplicate stage name "a", stage names should be unique',
  ],
  [
    'FROM base AS scratch\nFROM base AS context',
    '1:1: ReservedStageName: Stage name should not use the same name as reserved stage "scratch"',
    '2:1: ReservedStageName: Stage name should not use the same name as reserved stage "context"',
  ],
  [
    'FROM base\nENTRYPOINT my x\nCMD run',
    '2:1: JSONArgsRecommended: JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to OS signals',
    '3:1: JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals',
  ],
  ['FROM base\nSHELL ["bash", "-c"]\nCMD run'],
  [
    'FROM base\nMAINTAINER me',
    '2:1: MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label',
  ],
  [
    'ARG VERSION=1\nFROM base${TARGETARCH}\nFROM ${VERSOIN:-base}\nFROM base$VERSOIN',
    "4:1: UndefinedArgInFrom: FROM argument 'VERSOIN' is not declared (did you mean VERSION?)",
  ],
  [
    'ARG TAG\nFROM base:${TAG}',
    '2:1: InvalidDefaultArgInFrom: Default value for ARG base:${TAG} results in empty or invalid base image name',
  ],
  ['ARG TAG=1\nARG IMAGE=base:$TAG\nFROM ${IMAGE}'],
  [
    'FROM base\nWORKDIR app\nWORKDIR sub',
    '2:1: WorkdirRelativePath: Relative workdir "app" can have unexpected results if the base image changes',
  ],
  ['FROM base AS a\nWORKDIR /app\nWORKDIR sub\nFROM a\nWORKDIR more'],
  [
    'FROM base\nCOPY $fooo .\nENV foo=1\nLABEL a=$FOO b=$foo c=${bar:-x} d=${FROM_BASE} e=$HTTP_PROXY',
    "2:1: UndefinedVar: Usage of undefined variable '$fooo'",
    "4:1: UndefinedVar: Usage of undefined variable '$FOO' (did you mean foo?)",
  ],
  ['FROM base AS a\nENV X=1\nFROM a\nWORKDIR /$X'],
  ['FROM unknown\nWORKDIR /$X'],
  [
    'FROM scratch\nARG X\nENV PATH=$PATH:/x LATER=$X Z=$LATER$TARGETARCH',
    "3:1: UndefinedVar: Usage of undefined variable '$LATER'",
    "3:1: UndefinedVar: Usage of undefined variable '$TARGETARCH'",
  ],
  [
    'FROM base\nCMD ["a"]\nCMD ["b"]',
    '2:1: MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage because only the last one will be used',
  ],
  [
    'FROM base\nENV a b c\nLABEL a=b',
    '2:1: LegacyKeyValueFormat: "ENV key=value" should be used instead of legacy "ENV key value" format',
  ],
  [
    'FROM --platform=$TARGETPLATFORM base',
    '1:1: RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior',
  ],
  [
    'FROM --platform=linux/amd64 base\nFROM --platform=linux/amd64 base AS base-amd64',
    '1:1: FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value "linux/amd64"',
  ],
  [
    'ARG TOKEN\nFROM base\nENV AWS_SECRET_ACCESS_KEY=x PUBLIC_KEY=y MONKEY=z',
    '1:1: SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG "TOKEN")',
    '3:1: SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV "AWS_SECRET_ACCESS_KEY")',
  ],
  [
    'FROM base AS a\nCOPY ./tmp/x kept /\nADD secret https://example.org/tmp/x /\nCOPY --from=a secret /',
    '2:1: CopyIgnoredFile: Attempting to Copy file "./tmp/x" that is excluded by .dockerignore',
    '3:1: CopyIgnoredFile: Attempting to Add file "secret" that is excluded by .dockerignore',
  ],
  [
    'FROM base\nEXPOSE 80/TcP 127.0.0.1:80:80 443/tcp',
    "2:1: ExposeProtoCasing: Defined protocol '80/TcP' in EXPOSE instruction should be lowercase",
    "2:1: ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'",
  ],
])('checkDockerfile(%j)', async (text, ...expected) => {
  const { found } = await findings(text)
  expect(found).toEqual(expected.map((line) => `Dockerfile:${line}`))
})

const WRONG = 'FROM base AS A\nMAINTAINER me\nCMD x'

test.each([
  ['skip=all', [], false],
  ['skip=StageNameCasing, maintainerdeprecated;error=true', ['JSONArgsRecommended'], true],
  [
    'error=false;experimental=all',
    ['StageNameCasing', 'MaintainerDeprecated', 'JSONArgsRecommended'],
    false,
  ],
])('# check=%s', async (value, rules, isError) => {
  const named = (lines: readonly string[]): (string | undefined)[] =>
    lines.map((line) => line.split(': ')[1])
  const written = await findings(`# check=${value}\n${WRONG}`)
  expect([named(written.found), written.isError]).toEqual([rules, isError])
  const given = await findings(`# check=skip=none\n${WRONG}`, { BUILDKIT_DOCKERFILE_CHECK: value })
  expect([named(given.found), given.isError]).toEqual([rules, isError])
})

it('checkDockerfile() refuses what is no option of checks', async () => {
  await expect(findings('# check=skp=all\nFROM base')).rejects.toThrow('Dockerfile:1:1: "skp=all"')
})

it('unusedArguments() are those that no ARG takes', () => {
  const args = { USED: '1', UNUSED: '2', GLOBAL: '3', SOURCE_DATE_EPOCH: '4', http_proxy: 'x' }
  const contexts = new Set<string>()
  const text = 'ARG GLOBAL\nFROM base\nARG USED'
  const dockerfile = readDockerfile(text, 'Dockerfile', { given: args, platform, contexts })
  expect(unusedArguments(dockerfile, Object.keys(args))).toEqual(['UNUSED'])
})
