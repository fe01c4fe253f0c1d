import type { Flag } from '../args.ts'
import { openArchive, refuseTerminal, writeArchive } from '../archive-streams.ts'
import type { Command, CommandContext, Subcommand } from '../command.ts'
import { FORMAT_FLAG, renderListing } from '../listing.ts'
import { humanSize } from '../human.ts'
import { confirmed } from '../confirmed.ts'
import { withSubcommands } from '../subcommands.ts'
import { formatTable } from '../table.ts'
import { toVolumeRow, VOLUME_TITLES } from '../volume-row.ts'
import { pairs, removeEach } from './network.ts'

const SHOWN_NAME = 40

const FLAGS: readonly Flag[] = [
  { name: 'quiet', short: 'q', kind: 'bool', help: 'ls: only names' },
  { ...FORMAT_FLAG, help: `ls: ${FORMAT_FLAG.help}` },
  { name: 'size', kind: 'bool', help: 'ls: with sizes (default); --size=false is quicker' },
  { name: 'all', short: 'a', kind: 'bool', help: 'prune: volumes with a name too' },
  { name: 'force', short: 'f', kind: 'bool', help: 'prune: do not ask; rm: none is no error' },
  { name: 'opt', short: 'o', kind: 'list', value: 'KEY=VALUE', help: 'create: type, o, device' },
  { name: 'label', kind: 'list', value: 'KEY=VALUE', help: 'create: a label' },
]

async function list(context: CommandContext): Promise<number> {
  const { flags, output, client } = context
  const sizes = !flags.bool('quiet') && (!flags.has('size') || flags.bool('size'))
  const rows = (await (await client()).volumes(undefined, { sizes })).map(toVolumeRow)
  output.write(
    await renderListing(context, {
      rows,
      jsonLines: true,
      titles: VOLUME_TITLES,
      quiet: rows.map(({ Name }) => Name),
      setting: 'volumesFormat',
      table: () =>
        formatTable(
          ['NAME', 'STACK', 'SIZE'],
          rows.map(({ Name, Stack, Size }) => [
            Name.length > SHOWN_NAME ? Name.slice(0, 12) : Name,
            Stack,
            Size,
          ]),
        ),
    }),
  )
  return 0
}

async function exportArchive(
  { client }: CommandContext,
  [name = '']: readonly string[],
): Promise<number> {
  refuseTerminal(`tsstack volume export ${name}`, `> ${name}.tar`)
  await writeArchive(await (await client()).exportVolume(name), undefined)
  return 0
}

async function importArchive(
  { client, output }: CommandContext,
  [name = '']: readonly string[],
): Promise<number> {
  const archive = openArchive(undefined, `tsstack volume import ${name} < ${name}.tar`)
  try {
    await (await client()).importVolume(name, archive)
  } finally {
    archive.destroy()
  }
  output.line(name)
  return 0
}

const ONE = { min: 1, max: 1 } as const

const SUBCOMMANDS: Readonly<Record<string, Subcommand>> = {
  ls: {
    usage: '',
    summary: 'list volumes, with the stack that each belongs to and its size',
    arguments: { min: 0, max: 0 },
    flags: ['quiet', 'format', 'size'],
    run: list,
  },
  inspect: {
    usage: 'NAME...',
    summary: 'show all of a volume as JSON, with who mounts it',
    arguments: { min: 1 },
    flags: [],
    run: async ({ output, client }, names) => {
      const api = await client()
      const details = await Promise.all(names.map((name) => api.volume(name)))
      output.line(JSON.stringify(details, null, 2))
      return 0
    },
  },
  create: {
    usage: '[OPTIONS] NAME',
    summary: 'make one that stacks use as external',
    arguments: ONE,
    flags: ['opt', 'label'],
    run: async ({ flags, output, client }, [name = '']) => {
      const [options, labels] = [pairs(flags.list('opt')), pairs(flags.list('label'))]
      await (await client()).createVolume({ name, options, labels })
      output.line(name)
      return 0
    },
  },
  rm: {
    usage: 'NAME...',
    summary: 'remove volumes that no container mounts, with their data',
    arguments: { min: 1 },
    flags: ['force'],
    run: async (context, names) => {
      const api = await context.client()
      return removeEach(context, names, (name) => api.removeVolume(name))
    },
  },
  prune: {
    usage: '[-a] [-f]',
    summary: 'remove volumes without a name that no container mounts; -a all such',
    arguments: { min: 0, max: 0 },
    flags: ['all', 'force'],
    run: async (context) => {
      const { flags, output, client } = context
      const all = flags.bool('all')
      const which = all ? 'all volumes' : 'volumes without a name'
      if (!(await confirmed(context, `Remove ${which} that no container mounts?`))) return 1
      const { removed, reclaimedBytes } = await (await client()).pruneVolumes({ all })
      output.write(removed.map((name) => `${name}\n`).join(''))
      output.note(`Reclaimed ${humanSize(reclaimedBytes)}`)
      return 0
    },
  },
  export: {
    usage: 'NAME > FILE',
    summary: 'write a tar archive of a volume to standard output',
    arguments: ONE,
    flags: [],
    run: exportArchive,
  },
  import: {
    usage: 'NAME < FILE',
    summary: 'fill a new or empty volume from a tar archive on standard input',
    arguments: ONE,
    flags: [],
    run: importArchive,
  },
}

export const command: Command = withSubcommands(
  'volume',
  {
    summary: 'List, make, remove, back up and restore volumes',
    flags: FLAGS,
    examples: [
      ['tsstack volume ls', 'All volumes, with their sizes'],
      ['tsstack volume export shop_db > db.tar', 'A backup'],
      ['tsstack volume import shop_db < db.tar', 'Back again'],
      ['tsstack volume prune -a', 'Remove all that no container mounts'],
    ],
  },
  SUBCOMMANDS,
)
