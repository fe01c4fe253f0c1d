import type { ProgressEvent } from '../../api/types.ts'
import { TsstackError } from '../../errors.ts'
import { loadSources } from '../../sources/load-sources.ts'
import { packStack, type PackedFile } from '../../sources/pack-stack.ts'
import { parseTarget, publishArtifact } from '../../sources/publish-artifact.ts'
import { credentialsForStack } from '../../sources/registry-credentials.ts'
import { formatConfig } from '../../spec/config-output.ts'
import type { LoadedStack } from '../../spec/loaded-stack.ts'
import type { Command, CommandContext } from '../command.ts'
import { refusedFlag } from '../common-flags.ts'
import { allConfirmed } from '../confirmed.ts'
import { onlyImages, pinImages } from '../image-digests.ts'
import { showProgress } from '../progress.ts'
import {
  bindMounts,
  builtOnly,
  environmentFindings,
  secretLines,
  unpublishedFiles,
} from '../publish-findings.ts'
import { loadSource, projectEnvironment, toSourceOptions } from '../stack-source.ts'
import { sourceOf } from '../up-options.ts'

const ALL_PROFILES = { profiles: ['*'] }

/** The files of the artifact; with digests, one more that pins the images when it is merged over the others. */
async function pack(context: CommandContext, loaded: LoadedStack): Promise<PackedFile[]> {
  const { files, workingDir, stack } = loaded
  const packed = packStack({ files, workingDir, environment: await projectEnvironment(context) })
  if (!context.flags.bool('resolve-image-digests')) return packed
  const pins = formatConfig(onlyImages(await pinImages(stack, context.env)), { format: 'yaml' })
  return [...packed, { kind: 'stack', name: 'image-digests.yaml', bytes: Buffer.from(pins) }]
}

function questionOf(about: string, findings: readonly string[], question: string): string[] {
  if (findings.length === 0) return []
  const list = findings.map((finding) => `  - ${finding}`)
  return [[about, ...list, question].join('\n')]
}

/** What is asked before others can read it. */
async function questionsOf(
  context: CommandContext,
  { stack }: LoadedStack,
  files: readonly PackedFile[],
): Promise<string[]> {
  if (context.flags.bool('yes')) return []
  const asWritten = { interpolate: false, resolveEnvironment: false, consistency: false }
  const written = await loadSources({ ...toSourceOptions(context), ...ALL_PROFILES, ...asWritten })
  return [
    ...questionOf(
      'you are about to publish bind mounts declaration within your OCI artifact.\nWhat is in these directories is not published:',
      bindMounts(stack),
      'Are you ok to publish these bind mount declarations?',
    ),
    ...questionOf(
      'These lines look like secrets:',
      secretLines(files),
      'Are you ok to publish these sensitive data?',
    ),
    ...(context.flags.bool('with-env')
      ? []
      : questionOf(
          'Environment variables may be secrets:',
          environmentFindings(written.stack),
          'Use --with-env to silence this prompt.\nAre you ok to publish these environment variables?',
        )),
  ]
}

/** Images that this stack builds: others could not pull them. */
async function pushBuilt(context: CommandContext, loaded: LoadedStack): Promise<void> {
  const services = Object.entries(loaded.stack.services)
    .filter(([, { build }]) => build !== undefined)
    .map(([name]) => name)
  if (services.length === 0) return
  const client = await context.client()
  const request = {
    ...sourceOf(loaded),
    options: { services, includeDeps: false, ignoreFailures: true },
    ...(await credentialsForStack(context.env, loaded.stack)),
  }
  await showProgress(client.push(loaded.stack.name, request), context)
}

async function* publishing(
  name: string,
  publish: () => Promise<string | undefined>,
): AsyncGenerator<readonly ProgressEvent[]> {
  const artifact = { type: 'operation', id: 1, resource: 'artifact', name } as const
  yield [{ ...artifact, action: 'publishing', status: 'progress' }]
  const detail = await publish()
  const more = detail === undefined ? {} : { detail }
  yield [{ ...artifact, action: 'published', status: 'done', ...more }]
}

async function run(context: CommandContext): Promise<number> {
  const [name = ''] = context.positional
  const target = parseTarget(name)
  const loaded = await loadSource(context, ALL_PROFILES)
  const unpublishable = builtOnly(loaded.stack)
  if (unpublishable.length > 0)
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `your Compose stack cannot be published as it only contains a build section for service(s): ${unpublishable.join(', ')}`,
      { hint: 'Give them an "image:" to be pushed to, and pulled from' },
    )
  for (const warning of unpublishedFiles(loaded.stack)) context.output.note(`warning: ${warning}`)
  const files = await pack(context, loaded)
  if (!(await allConfirmed(await questionsOf(context, loaded, files), '--yes (-y)')))
    throw new TsstackError('CANCELLED', 'Nothing has been published')
  const { dryRun } = context.global
  if (!dryRun) await pushBuilt(context, loaded)
  const publish = async (): Promise<string | undefined> =>
    dryRun ? undefined : publishArtifact(target, files, context.env)
  await showProgress(publishing(name, publish), context)
  return 0
}

export const command: Command = {
  usage: '[OPTIONS] REPOSITORY[:TAG]',
  summary: 'Put the files of a stack into a registry',
  details:
    'As they are written, with what they extend and their environment files; variables are replaced where the stack is brought ' +
    'up: "tsstack -f oci://REPOSITORY:TAG up". Images that the stack builds are pushed. What may be private is asked about.',
  flags: [
    {
      name: 'resolve-image-digests',
      kind: 'bool',
      help: 'Pin each image to the digest that its tag has now',
    },
    {
      name: 'with-env',
      kind: 'bool',
      help: 'Publish environment files and variables without asking',
    },
    { name: 'yes', short: 'y', kind: 'bool', help: 'Answer yes to all questions' },
    refusedFlag('app', 'images stay in the repositories that they are in'),
    refusedFlag('oci-version', 'artifacts are those of OCI 1.1', {
      kind: 'text',
      value: 'VERSION',
    }),
  ],
  arguments: { min: 1, max: 1 },
  examples: [
    ['tsstack publish registry.example/team/shop:1.4', 'The stack of ./compose.yaml'],
    ['tsstack -f oci://registry.example/team/shop:1.4 up -d', 'Brings it up elsewhere'],
  ],
  run,
}
