import type { Readable } from 'node:stream'
import type { LoadedImage } from '../../api/image-types.ts'
import type { ImageClient } from '../../client/image-client.ts'
import type { Flag } from '../args.ts'
import { openArchive, readableFile, refuseTerminal, writeArchive } from '../archive-streams.ts'
import type { Command, CommandContext, Subcommand } from '../command.ts'
import { COMPRESSION_FLAG } from '../compression-flag.ts'
import { humanSize } from '../human.ts'
import { imageHistory, inspectImages, listImages } from '../image-queries.ts'
import { removedLines } from '../image-tables.ts'
import { FORMAT_FLAG, PRUNE_FILTER_FLAG } from '../listing.ts'
import { credentialsFor } from '../../sources/registry-credentials.ts'
import { confirmed } from '../confirmed.ts'
import { withSubcommands } from '../subcommands.ts'
import { pullByName } from './pull.ts'
import { pushByName } from './push.ts'

const FLAGS: readonly Flag[] = [
  {
    name: 'quiet',
    short: 'q',
    kind: 'bool',
    help: 'ls, history: only IDs; pull, push, load: less',
  },
  { ...COMPRESSION_FLAG, help: `push: ${COMPRESSION_FLAG.help}` },
  {
    ...FORMAT_FLAG,
    short: 'f',
    words: ['inspect'],
    help: 'inspect: json, or a template like "{{.Id}}"',
  },
  { ...FORMAT_FLAG, words: ['ls', 'history'], help: `ls, history: ${FORMAT_FLAG.help}` },
  {
    name: 'filter',
    short: 'f',
    kind: 'list',
    value: 'KEY=VALUE',
    words: ['ls'],
    help: 'ls: dangling, label, reference, before, since, until',
  },
  {
    ...PRUNE_FILTER_FLAG,
    words: ['prune'],
  },
  { name: 'digests', kind: 'bool', help: 'ls: what the registries have under the names' },
  { name: 'human', short: 'H', kind: 'bool', help: 'history: sizes and ages in words (default)' },
  { name: 'no-trunc', kind: 'bool', help: 'ls, history: nothing cut short' },
  {
    name: 'all',
    short: 'a',
    kind: 'bool',
    help: 'prune: images with a name, too; ls: all, as anyway',
  },
  {
    name: 'force',
    short: 'f',
    kind: 'bool',
    words: ['prune', 'rm'],
    help: 'prune: do not ask; rm: all names of an ID',
  },
  {
    name: 'output',
    short: 'o',
    kind: 'text',
    value: 'FILE',
    help: 'save: instead of standard output',
  },
  {
    name: 'input',
    short: 'i',
    kind: 'text',
    value: 'FILE',
    help: 'load: instead of standard input',
  },
  {
    name: 'change',
    short: 'c',
    kind: 'list',
    value: 'INSTRUCTION',
    help: 'import: of a Dockerfile, as "CMD run"',
  },
]

async function remove(context: CommandContext, images: readonly string[]): Promise<number> {
  const { flags, output, client } = context
  const removed = await (await client()).removeImages({ images, force: flags.bool('force') })
  for (const line of removedLines(removed)) output.line(line)
  return 0
}

async function prune(context: CommandContext): Promise<number> {
  const { flags, output, client } = context
  const all = flags.bool('all')
  const which = all ? 'all images that no container uses' : 'images that nothing names'
  if (!(await confirmed(context, `Remove ${which}?`))) return 1
  const removed = await (await client()).pruneImages({ all, filters: flags.list('filter') })
  for (const line of removedLines(removed)) output.line(line)
  output.line(`Total reclaimed space: ${humanSize(removed.reclaimedBytes)}`)
  return 0
}

async function save({ flags, client }: CommandContext, names: readonly string[]): Promise<number> {
  const file = flags.text('output')
  if (file === undefined) refuseTerminal(`tsstack image save ${names.join(' ')}`)
  await writeArchive(await (await client()).saveImages(names), file)
  return 0
}

async function sendArchive(
  images: ImageClient,
  archive: Readable,
): Promise<readonly LoadedImage[]> {
  try {
    return await images.loadImages(archive)
  } finally {
    archive.destroy()
  }
}

async function load({ flags, output, client }: CommandContext): Promise<number> {
  const file = flags.text('input')
  const seen = readableFile(file)
  const images = await client()
  const loaded =
    (seen && (await images.loadImageFile(seen))) ?? (await sendArchive(images, openArchive(file)))
  for (const { id, names } of loaded) {
    if (names.length === 0) output.line(`Loaded image ID: ${id}`)
    for (const name of names) output.line(`Loaded image: ${name}`)
  }
  return 0
}

async function importTree(
  { flags, output, client }: CommandContext,
  [file = '', name]: readonly string[],
): Promise<number> {
  const archive = openArchive(file)
  const options = { changes: flags.list('change'), ...(name === undefined ? {} : { name }) }
  try {
    output.line((await (await client()).importImage(archive, options)).id)
  } finally {
    archive.destroy()
  }
  return 0
}

async function tags(
  { env, output, client }: CommandContext,
  [repository = '']: readonly string[],
): Promise<number> {
  const credentials = await credentialsFor(env, [repository])
  const found = await (await client()).remoteTags({ repository, ...credentials })
  for (const tag of found) output.line(tag)
  return 0
}

const SUBCOMMANDS: Readonly<Record<string, Subcommand>> = {
  ls: {
    usage: '[NAME[:TAG]]',
    summary: 'list the images of this host; -f KEY=VALUE chooses',
    arguments: { min: 0, max: 1 },
    flags: ['all', 'quiet', 'format', 'filter', 'digests', 'no-trunc'],
    run: listImages,
  },
  inspect: {
    usage: 'IMAGE...',
    summary: 'show all of an image as JSON',
    arguments: { min: 1 },
    flags: ['format'],
    run: inspectImages,
  },
  history: {
    usage: 'IMAGE',
    summary: 'show the steps that made an image, the newest first',
    arguments: { min: 1, max: 1 },
    flags: ['no-trunc', 'quiet', 'format', 'human'],
    run: imageHistory,
  },
  pull: {
    usage: 'IMAGE...',
    summary: 'pull images from their registries',
    arguments: { min: 1 },
    flags: ['quiet'],
    run: pullByName,
  },
  push: {
    usage: 'IMAGE...',
    summary: 'push images to their registries; only what is missing there is sent',
    arguments: { min: 1 },
    flags: ['quiet', 'compression'],
    run: pushByName,
  },
  tag: {
    usage: 'IMAGE NAME',
    summary: 'give an image another name',
    arguments: { min: 2, max: 2 },
    flags: [],
    run: async ({ client }, [source = '', target = '']) => {
      await (await client()).tagImage(source, target)
      return 0
    },
  },
  tags: {
    usage: 'REPOSITORY',
    summary: 'list the tags that a registry has of a repository, one a line',
    arguments: { min: 1, max: 1 },
    flags: [],
    run: tags,
  },
  rm: {
    usage: 'IMAGE...',
    summary: 'remove names, and images that have no other and that no container uses',
    arguments: { min: 1 },
    flags: ['force'],
    run: remove,
  },
  prune: {
    usage: '',
    summary: 'remove images that nothing names, or with -a all that no container uses',
    arguments: { min: 0, max: 0 },
    flags: ['all', 'force', 'filter'],
    run: prune,
  },
  save: {
    usage: 'IMAGE...',
    summary: 'write images into one archive, an OCI layout that Docker reads too',
    arguments: { min: 1 },
    flags: ['output'],
    run: save,
  },
  load: {
    usage: '',
    summary: 'bring in the images of an archive',
    arguments: { min: 0, max: 0 },
    flags: ['input', 'quiet'],
    run: load,
  },
  import: {
    usage: 'FILE|- [NAME]',
    summary: 'make an image of a tar archive with a root file system in it',
    arguments: { min: 1, max: 2 },
    flags: ['change'],
    run: importTree,
  },
}

export const command: Command = withSubcommands(
  'image',
  {
    summary: 'List, pull, push, name, remove, save and load images',
    flags: FLAGS,
    examples: [
      ['tsstack image pull registry.example/team/app:1', 'An image by its name'],
      [
        'tsstack image save app:1 | zstd > app.tar.zst',
        'To a file; "image load" takes it packed too',
      ],
      ['tsstack image tags registry.example/team/app', 'Which versions there are'],
      ['tsstack image prune -a', 'Make room: all that no container uses'],
    ],
  },
  SUBCOMMANDS,
)
