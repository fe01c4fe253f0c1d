import type { BuildOptions } from '../../api/build-types.ts'
import type { Command, CommandContext } from '../command.ts'
import { needlessFlag, refusedFlag } from '../common-flags.ts'
import { COMPRESSION_FLAG, compressionOf } from '../compression-flag.ts'
import { sshAgentOf } from '../build-options.ts'
import { parseEnvironment } from '../environment-flags.ts'
import { showProgress, withQuiet } from '../progress.ts'
import { checkServices } from '../select-containers.ts'
import { loadWithServices } from '../stack-source.ts'
import { sourceOf } from '../up-options.ts'
import { credentialsForBuild } from '../../sources/registry-credentials.ts'

function optionsOf({ flags, positional, env }: CommandContext): BuildOptions {
  const epoch = env['SOURCE_DATE_EPOCH']
  const given = parseEnvironment(flags.list('build-arg'), env)
  return {
    services: positional,
    withDependencies: flags.bool('with-dependencies'),
    ...(flags.bool('check') ? { check: true } : {}),
    ...(flags.has('no-cache') ? { noCache: flags.bool('no-cache') } : {}),
    ...(flags.has('pull') ? { pull: flags.bool('pull') } : {}),
    push: flags.bool('push'),
    ...compressionOf(flags),
    args: { ...(epoch === undefined ? {} : { SOURCE_DATE_EPOCH: epoch }), ...given },
    ...sshAgentOf(env, flags.list('ssh')),
  }
}

const ATTESTATIONS = 'no attestations are made'

async function run(context: CommandContext): Promise<number> {
  const { flags, positional, env, output } = context
  const loaded = await loadWithServices(context, positional)
  checkServices(positional, Object.keys(loaded.stack.services))
  const options = optionsOf(context)
  if (flags.bool('print')) {
    const { buildPlanText } = await import('../build-plan.ts')
    output.write(buildPlanText(loaded.stack, options))
    return 0
  }
  const request = {
    ...sourceOf(loaded),
    options,
    ...(await credentialsForBuild(env, loaded.stack)),
  }
  const client = await context.client()
  await showProgress(client.build(loaded.stack.name, request), withQuiet(context))
  return 0
}

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...]',
  summary: 'Build the images of services from their Dockerfiles',
  details:
    'Each RUN is a container of the engine. What a step makes is kept by what it depends on: a build that finds everything as it was ' +
    'makes nothing. SOURCE_DATE_EPOCH makes the same image of the same input.',
  flags: [
    {
      name: 'build-arg',
      kind: 'list',
      value: 'NAME=VALUE',
      help: 'A build argument, over that of the stack file; NAME alone takes it from the environment',
    },
    refusedFlag('builder', 'builds are the work of the engine itself', {
      kind: 'text',
      value: 'NAME',
    }),
    refusedFlag('memory', 'builds have no limit of memory', {
      kind: 'text',
      short: 'm',
      value: 'BYTES',
    }),
    {
      name: 'check',
      kind: 'bool',
      help: 'Check the Dockerfiles, and build nothing; fails when there are findings',
    },
    needlessFlag('compress', 'nothing is sent anywhere: the engine reads the context itself'),
    needlessFlag('force-rm', 'containers of builds are always removed'),
    refusedFlag('no-rm', 'containers of builds are always removed'),
    { name: 'no-cache', kind: 'bool', help: 'Run every step again' },
    { name: 'pull', kind: 'bool', help: 'Look for newer base images in their registries' },
    { name: 'push', kind: 'bool', help: 'Push the images when they are built' },
    { ...COMPRESSION_FLAG, help: `With --push: ${COMPRESSION_FLAG.help}` },
    {
      name: 'ssh',
      kind: 'list',
      value: 'ID[=SOCKET]',
      help: 'The ssh agent for RUN --mount=type=ssh (default: that of SSH_AUTH_SOCK)',
    },
    refusedFlag('provenance', ATTESTATIONS),
    refusedFlag('sbom', ATTESTATIONS),
    { name: 'print', kind: 'bool', help: 'Print what would be built, as JSON, and build nothing' },
    { name: 'quiet', short: 'q', kind: 'bool', help: 'No progress' },
    {
      name: 'with-dependencies',
      kind: 'bool',
      help: 'Build the services that they depend on, too',
    },
  ],
  examples: [
    ['tsstack build', 'The images of all services that have a "build"'],
    ['tsstack build --check', 'What may be wrong with the Dockerfiles, by line and column'],
    ['tsstack build --build-arg VERSION=2 --push api', 'One, and to its registry'],
  ],
  run,
}
