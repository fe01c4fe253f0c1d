import { statSync } from 'node:fs'
import type { Readable } from 'node:stream'
import type { ContainerSummary } from '../../api/types.ts'
import { TsstackError } from '../../errors.ts'
import { openArchive, refuseTerminal, writeArchive } from '../archive-streams.ts'
import type { Command, CommandContext } from '../command.ts'
import { absoluteInContainer, meansContents, parseRemote, planCopy } from '../copy-plan.ts'
import { findTarget, findTargets } from '../find-target.ts'
import { localFile, packLocal, unpackLocal } from '../local-archive.ts'

interface Remote {
  readonly target: string
  readonly path: string
}

async function copyOut(context: CommandContext, remote: Remote, local: string): Promise<void> {
  const { flags } = context
  const client = await context.client()
  const { id } = await findTarget(context, remote.target, flags.number('index'))
  const path = absoluteInContainer(remote.path)
  const follow = flags.bool('follow-link')
  const source = await client.fileState(id, path)
  if (local === '-') {
    refuseTerminal('tsstack cp')
    const name = meansContents(path) ? '' : (path.replace(/\/+$/, '').split('/').at(-1) ?? '')
    await writeArchive(await client.copyFrom(id, { path, follow, name }), undefined)
    return
  }
  const stats = statSync(local, { throwIfNoEntry: false })
  const { directory, name } = planCopy(
    { path, isDirectory: source.isDirectory },
    { path: local, exists: stats !== undefined, isDirectory: stats?.isDirectory() === true },
  )
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new TsstackError('NOT_FOUND', `Cannot copy to "${directory}": there is no such directory`)
  const archive = await client.copyFrom(id, { path, follow, name })
  await unpackLocal(archive, directory, { keepIds: flags.bool('archive') })
}

/** Compose copies into every replica unless one is named. */
async function destinations(
  context: CommandContext,
  target: string,
): Promise<readonly ContainerSummary[]> {
  const index = context.flags.number('index')
  if (index !== undefined && index !== 0) return [await findTarget(context, target, index)]
  return findTargets(context, target, { oneOff: context.flags.bool('all') })
}

async function copyInto(
  context: CommandContext,
  local: string,
  { id, path }: { readonly id: string; readonly path: string },
): Promise<void> {
  const client = await context.client()
  const state = await client.fileState(id, path)
  const keepIds = context.flags.bool('archive')
  if (local === '-') {
    if (!state.isDirectory)
      throw new TsstackError(
        'INVALID_ARGUMENT',
        `Cannot copy to "${path}": an archive needs a directory that exists`,
      )
    await client.copyInto(id, { path, keepIds: true }, openArchive('-'))
    return
  }
  const source = localFile(local, context.flags.bool('follow-link'))
  const { directory, name } = planCopy(source, { path, ...state })
  const archive: Readable = packLocal(source, name)
  await client.copyInto(id, { path: directory, keepIds }, archive)
}

export const command: Command = {
  usage: '[OPTIONS] SERVICE:PATH PATH|-  |  PATH|- SERVICE:PATH',
  summary: 'Copy files between a container and this host',
  details:
    'In place of a service a container can be named. "-" is a tar archive: standard output or input. DIRECTORY/. ' +
    'means what is in the directory. Into a service, files go to all its replicas, unless --index names one. ' +
    'Volumes and other mounts are reached, but for memory (tmpfs) of a container that does not run.',
  flags: [
    {
      name: 'archive',
      short: 'a',
      kind: 'bool',
      help: "Keep owners (default: the container's root; on this host its user)",
    },
    {
      name: 'follow-link',
      short: 'L',
      kind: 'bool',
      help: 'Copy what a link leads to, instead of the link',
    },
    { name: 'index', kind: 'integer', value: 'N', help: 'Replica of the service' },
    { name: 'all', kind: 'bool', help: 'Into containers of "run", too' },
  ],
  examples: [
    ['tsstack cp web:/etc/nginx/nginx.conf .', 'A file out of "web"'],
    ['tsstack cp site/. web:/usr/share/nginx/html', 'What is in "site" into all replicas'],
    ['tsstack cp db:/var/lib/data - | tar -t', 'As an archive'],
  ],
  arguments: { min: 2, max: 2 },
  async run(context) {
    const [from = '', to = ''] = context.positional
    const source = from === '-' ? undefined : parseRemote(from)
    const destination = to === '-' ? undefined : parseRemote(to)
    if (source !== undefined && destination !== undefined)
      throw new TsstackError(
        'INVALID_ARGUMENT',
        'Cannot copy from one container to another: copy to this host first',
      )
    if (source !== undefined) await copyOut(context, source, to)
    else if (destination !== undefined) {
      const path = absoluteInContainer(destination.path)
      for (const { id } of await destinations(context, destination.target))
        await copyInto(context, from, { id, path })
    } else
      throw new TsstackError('INVALID_ARGUMENT', 'Cannot copy: neither path is of a container', {
        hint: 'Write SERVICE:PATH for one of them',
      })
    return 0
  },
}
