import type { GitSourceStatus } from '../../api/gitops-types.ts'
import type { Flag } from '../args.ts'
import type { Command, CommandContext, Subcommand } from '../command.ts'
import { ADD_FLAGS, ADD_FLAG_NAMES, readGitSource } from '../gitops-flags.ts'
import { optionsOf, sourceDetails, sourcesTable } from '../gitops-view.ts'
import { paintPlan } from '../paint-plan.ts'
import { createStyle } from '../style.ts'
import { withSubcommands } from '../subcommands.ts'

const FLAGS: readonly Flag[] = [
  ...ADD_FLAGS,
  { name: 'json', kind: 'bool', help: 'As JSON' },
  { name: 'force', kind: 'bool', help: 'sync: also what is held or suspended' },
  { name: 'wait', kind: 'bool', help: 'add: answer when the first pass has ended' },
  { name: 'down', kind: 'bool', help: 'rm: bring its stack down, too; volumes stay' },
]

const ONE = { min: 1, max: 1 } as const
const WAITING_EXIT = 2

/** Shows a source; the exit code says whether it is ready. */
function tell({ output, flags }: CommandContext, source: GitSourceStatus): number {
  if (flags.bool('json')) output.line(JSON.stringify(source, null, 2))
  else output.write(sourceDetails(source, new Date()))
  return source.ready === 'False' ? 1 : 0
}

async function add(context: CommandContext, [name = '']: readonly string[]): Promise<number> {
  const client = await context.client()
  const before = (await client.gitSources()).find((source) => source.name === name)
  const added = await client.addGitSource(readGitSource(context, name))
  const now = new Set(optionsOf(added))
  const lost = before === undefined ? [] : optionsOf(before).filter((option) => !now.has(option))
  if (lost.length > 0)
    context.output.note(`warning: "${name}" is followed without ${lost.join(', ')} from now on`)
  if (context.flags.bool('wait')) return tell(context, await client.syncGitSource(name))
  context.output.line(added.name)
  return 0
}

async function list({ flags, output, client }: CommandContext): Promise<number> {
  const sources = await (await client()).gitSources()
  if (flags.bool('json')) output.line(JSON.stringify(sources, null, 2))
  else output.write(sourcesTable(sources, output.width()))
  return 0
}

async function remove(context: CommandContext, names: readonly string[]): Promise<number> {
  const client = await context.client()
  for (const name of names) {
    const { stack } = await client.gitSource(name)
    await client.removeGitSource(name)
    if (context.flags.bool('down')) await bringDown(context, stack)
  }
  return 0
}

async function bringDown({ client, output }: CommandContext, stack: string): Promise<void> {
  for await (const events of (await client()).down(stack, { options: { removeOrphans: true } })) {
    for (const event of events) if (event.type === 'warning') output.note(event.message)
  }
}

async function diff(context: CommandContext, [name = '']: readonly string[]): Promise<number> {
  const { flags, output, client } = context
  const change = await (await client()).pendingChange(name)
  if (flags.bool('json')) output.line(JSON.stringify(change, null, 2))
  else if (change.text === '')
    output.note(`Nothing waits. "tsstack gitops sync ${name}" looks at the repository.`)
  else output.write(paintPlan(`${change.text.trimEnd()}\n`, createStyle(output.color)))
  return change.text === '' ? 0 : WAITING_EXIT
}

const SUBCOMMANDS: Readonly<Record<string, Subcommand>> = {
  add: {
    usage: '[OPTIONS] NAME --repo URL',
    summary: 'follow a repository from now on, or change how it is followed',
    arguments: ONE,
    flags: [...ADD_FLAG_NAMES, 'wait', 'json'],
    run: add,
  },
  ls: {
    usage: '',
    summary: 'list the sources, with how far each has got',
    arguments: { min: 0, max: 0 },
    flags: ['json'],
    run: list,
  },
  status: {
    usage: 'NAME',
    summary: 'show all of a source; exit code 1 when it is not ready',
    arguments: ONE,
    flags: ['json'],
    run: async (context, [name = '']) =>
      tell(context, await (await context.client()).gitSource(name)),
  },
  sync: {
    usage: '[--force] NAME',
    summary: 'look at the repository now, and wait for what comes of it',
    arguments: ONE,
    flags: ['force', 'json'],
    run: async (context, [name = '']) => {
      const force = context.flags.bool('force')
      return tell(context, await (await context.client()).syncGitSource(name, { force }))
    },
  },
  retry: {
    usage: 'NAME',
    summary: 'try a commit again that is held',
    arguments: ONE,
    flags: ['json'],
    run: async (context, [name = '']) =>
      tell(context, await (await context.client()).syncGitSource(name, { force: true })),
  },
  diff: {
    usage: 'NAME',
    summary: 'show the plan of the change that waits; exit code 2 when one does',
    arguments: ONE,
    flags: ['json'],
    run: diff,
  },
  approve: {
    usage: 'NAME',
    summary: 'let the change that waits be made',
    arguments: ONE,
    flags: ['json'],
    run: async (context, [name = '']) => {
      const client = await context.client()
      const { digest } = await client.pendingChange(name)
      return tell(context, await client.approveGitSource(name, digest))
    },
  },
  suspend: {
    usage: 'NAME',
    summary: 'look at it no more until it is resumed; its stack goes on',
    arguments: ONE,
    flags: ['json'],
    run: async (context, [name = '']) => {
      await (await context.client()).suspendGitSource(name)
      return 0
    },
  },
  resume: {
    usage: 'NAME',
    summary: 'follow it again',
    arguments: ONE,
    flags: ['json'],
    run: async (context, [name = '']) => {
      await (await context.client()).resumeGitSource(name)
      return 0
    },
  },
  rm: {
    usage: '[--down] NAME...',
    summary: 'follow it no more; its stack goes on',
    arguments: { min: 1 },
    flags: ['down'],
    run: remove,
  },
}

export const command: Command = withSubcommands(
  'gitops',
  {
    summary: 'Have stacks follow git repositories',
    flags: FLAGS,
    examples: [
      [
        'tsstack gitops add shop --repo https://example.com/shop.git --prune',
        'Follow a repository',
      ],
      ['tsstack gitops sync shop', 'Look at it now'],
      ['tsstack gitops diff shop', 'What waits for approval'],
    ],
  },
  SUBCOMMANDS,
)
