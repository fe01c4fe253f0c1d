import type { RunRequest } from '../../api/types.ts'
import type { Client } from '../../client/client.ts'
import { TsstackError } from '../../errors.ts'
import type { LoadedStack } from '../../spec/loaded-stack.ts'
import { splitShellWords } from '../../spec/shell-words.ts'
import type { Command, CommandContext } from '../command.ts'
import { sshAgentOf } from '../build-options.ts'
import { QUIET_TRANSFER_FLAGS, TERMINAL_FLAGS } from '../common-flags.ts'
import { parseEnvironment, readEnvironmentFiles } from '../environment-flags.ts'
import { forwardSignals } from '../forward-signals.ts'
import { showProgress, withQuiet } from '../progress.ts'
import { checkServices } from '../select-containers.ts'
import { loadWithServices, projectEnvironment } from '../stack-source.ts'
import { readStreams, runSession, terminalSize, type Streams } from '../terminal-session.ts'
import { credentialsForBuild, credentialsForStack } from '../../sources/registry-credentials.ts'
import { PULL_FLAG, readPull, sourceOf } from '../up-options.ts'

function parseLabels(pairs: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const equals = pair.indexOf('=')
      if (equals === 0)
        throw new TsstackError('INVALID_ARGUMENT', `invalid label "${pair}": expected KEY=VALUE`)
      return equals === -1 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
    }),
  )
}

function splitEntrypoint(text: string): readonly string[] {
  const words = splitShellWords(text)
  if (words !== undefined) return words
  throw new TsstackError('INVALID_ARGUMENT', `invalid entrypoint "${text}": a quote is not closed`)
}

/** `-e KEY` has the value that the stack files would get for `${KEY}` (Compose: run --env). */
async function environmentOf(context: CommandContext): Promise<Readonly<Record<string, string>>> {
  const pairs = context.flags.list('env')
  const isLookedUp = pairs.some((pair) => !pair.includes('='))
  const variables = isLookedUp ? Object.fromEntries(await projectEnvironment(context)) : {}
  return { ...readEnvironmentFiles(context), ...parseEnvironment(pairs, variables) }
}

async function toRunRequest(
  context: CommandContext,
  loaded: LoadedStack,
  streams: Streams,
): Promise<RunRequest> {
  const { flags, positional } = context
  const [service = '', ...program] = positional
  const optional = <K extends string>(
    key: K,
    value: string | undefined,
  ): Partial<Record<K, string>> =>
    value === undefined ? {} : ({ [key]: value } as Record<K, string>)
  const entrypoint = flags.text('entrypoint')
  const size = streams.tty ? terminalSize() : undefined
  return {
    ...sourceOf(loaded),
    service,
    ...optional('name', flags.text('name')),
    ...(program.length > 0 ? { command: program } : {}),
    ...(entrypoint === undefined ? {} : { entrypoint: splitEntrypoint(entrypoint) }),
    environment: await environmentOf(context),
    ...optional('user', flags.text('user')),
    ...optional('workdir', flags.text('workdir')),
    labels: parseLabels(flags.list('label')),
    volumes: flags.list('volume'),
    publish: flags.list('publish'),
    servicePorts: flags.bool('service-ports'),
    useAliases: flags.bool('use-aliases'),
    noDeps: flags.bool('no-deps'),
    tty: streams.tty,
    stdin: streams.stdin,
    ...(size === undefined ? {} : { size }),
    remove: flags.bool('rm'),
    capAdd: flags.list('cap-add'),
    capDrop: flags.list('cap-drop'),
    ...readPull(flags.text('pull')),
  }
}

/** Networks, volumes and the services that this one needs. */
async function startDependencies(
  context: CommandContext,
  client: Client,
  loaded: LoadedStack,
): Promise<void> {
  const service = loaded.stack.services[context.positional[0] ?? '']
  const needed = Object.keys(service?.depends_on ?? {})
  if (context.flags.bool('no-deps') || needed.length === 0) return
  const request = {
    ...sourceOf(loaded),
    ...(await credentialsForStack(context.env, loaded.stack)),
    options: {
      services: needed,
      before: context.positional[0] ?? '',
      removeOrphans: context.flags.bool('remove-orphans'),
      ...readPull(context.flags.text('pull')),
    },
  }
  await showProgress(client.up(loaded.stack.name, request), context)
}

async function buildImage(
  context: CommandContext,
  client: Client,
  loaded: LoadedStack,
): Promise<void> {
  const request = {
    ...sourceOf(loaded),
    ...(await credentialsForBuild(context.env, loaded.stack)),
    options: { services: context.positional.slice(0, 1), ...sshAgentOf(context.env) },
  }
  await showProgress(client.build(loaded.stack.name, request), context)
}

/** With `--rm` nothing is left of a container whose program can't be started, either. */
async function startOrRemove({ flags }: CommandContext, client: Client, id: string): Promise<void> {
  try {
    await client.startContainer(id)
  } catch (error) {
    if (flags.bool('rm')) await client.removeContainer(id, { volumes: true }).catch(() => undefined)
    throw error
  }
}

async function run(given: CommandContext): Promise<number> {
  const context = withQuiet(given)
  const streams = readStreams(context.flags)
  const loaded = await loadWithServices(context, context.positional.slice(0, 1))
  checkServices(context.positional.slice(0, 1), Object.keys(loaded.stack.services))
  const client = await context.client()
  if (context.flags.bool('build')) await buildImage(context, client, loaded)
  await startDependencies(context, client, loaded)
  const credentials = await credentialsForStack(context.env, loaded.stack)
  const request = { ...(await toRunRequest(context, loaded, streams)), ...credentials }
  const { id } = await client.run(loaded.stack.name, request)
  if (streams.detach) {
    await startOrRemove(context, client, id)
    context.output.line(id)
    return 0
  }
  // Attached before it starts, so that nothing that it writes is missed.
  const session = await client.attach(id)
  try {
    await startOrRemove(context, client, id)
  } catch (error) {
    session.close() // nothing ends it from the other side
    throw error
  }
  const restore = forwardSignals(client, id, context.output.note)
  try {
    return await runSession(session, streams)
  } finally {
    restore()
  }
}

export const command: Command = {
  usage: '[OPTIONS] SERVICE [COMMAND] [ARGS...]',
  summary: 'Run a one-off command in a new container of a service',
  details:
    "Starts what the service depends on first. Publishes no ports unless told to. The command's exit code is returned.",
  flags: [
    {
      name: 'detach',
      short: 'd',
      kind: 'bool',
      help: 'Return at once, and print the id of the container',
    },
    { name: 'rm', kind: 'bool', help: 'Remove the container when it has ended' },
    {
      name: 'env',
      short: 'e',
      kind: 'list',
      value: 'KEY=VALUE',
      help: 'Set an environment variable; KEY alone takes it from here or from .env',
    },
    {
      name: 'env-from-file',
      kind: 'list',
      value: 'PATH',
      help: 'Set environment variables of a file; -e wins',
    },
    PULL_FLAG,
    { name: 'build', kind: 'bool', help: 'Build the image of the service first' },
    ...QUIET_TRANSFER_FLAGS,
    { name: 'quiet', short: 'q', kind: 'bool', help: 'No progress' },
    {
      name: 'volume',
      short: 'v',
      kind: 'list',
      value: 'SPEC',
      help: 'Mount a volume: SOURCE:TARGET[:ro]',
    },
    { name: 'publish', short: 'p', kind: 'list', value: 'SPEC', help: 'Publish a port: 8080:80' },
    { name: 'service-ports', short: 'P', kind: 'bool', help: 'Publish the ports of the service' },
    { name: 'no-deps', kind: 'bool', help: 'Leave the services that it depends on alone' },
    {
      name: 'entrypoint',
      kind: 'text',
      value: 'COMMAND',
      help: 'Instead of the entrypoint of the image',
    },
    ...TERMINAL_FLAGS,
    { name: 'name', kind: 'text', value: 'NAME', help: 'Name of the container' },
    { name: 'label', short: 'l', kind: 'list', value: 'KEY=VALUE', help: 'Add a label' },
    { name: 'user', short: 'u', kind: 'text', value: 'USER', help: 'Run as this user' },
    { name: 'workdir', short: 'w', kind: 'text', value: 'PATH', help: 'Run in this directory' },
    { name: 'use-aliases', kind: 'bool', help: "Answer to the service's aliases in its networks" },
    { name: 'cap-add', kind: 'list', value: 'NAME', help: 'Add a capability' },
    { name: 'cap-drop', kind: 'list', value: 'NAME', help: 'Take a capability away' },
    {
      name: 'remove-orphans',
      kind: 'bool',
      help: 'Remove containers of services that the stack file no longer has',
    },
  ],
  examples: [
    ['tsstack run --rm api npm test', 'The tests, in a container that is removed afterwards'],
    ['tsstack run --rm --no-deps -e DEBUG=1 api sh', 'A shell, without the database'],
  ],
  passthrough: true,
  arguments: { min: 1 },
  run,
}
