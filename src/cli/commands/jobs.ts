import type { JobRun, JobSummary } from '../../api/job-types.ts'
import type { Flag } from '../args.ts'
import type { Command, CommandContext, Subcommand } from '../command.ts'
import { humanDuration, lowerDuration } from '../human.ts'
import { resolveStackName } from '../stack-name.ts'
import { withSubcommands } from '../subcommands.ts'
import { formatTable } from '../table.ts'

const FLAGS: readonly Flag[] = [{ name: 'json', kind: 'bool', help: 'As JSON' }]

function distance(time: string): string {
  const ms = Date.parse(time) - Date.now()
  return ms > 0 ? `in ${lowerDuration(ms)}` : `${humanDuration(-ms)} ago`
}

function outcomeOf({ state, exitCode, reason }: JobRun): string {
  if (reason !== undefined) return `${state}: ${reason}`
  return state === 'failed' && exitCode !== undefined ? `failed (${String(exitCode)})` : state
}

function jobRow({ service, cron, timeZone, next, last }: JobSummary): string[] {
  return [
    service,
    timeZone === undefined ? cron : `${cron} (${timeZone})`,
    next === undefined ? 'stopped' : distance(next),
    last === undefined ? '' : `${outcomeOf(last)}, ${distance(last.startedAt).toLowerCase()}`,
  ]
}

function runRow(run: JobRun): string[] {
  const { service, trigger, startedAt, finishedAt, container } = run
  const tookMs = finishedAt === undefined ? 0 : Date.parse(finishedAt) - Date.parse(startedAt)
  return [
    service,
    trigger,
    distance(startedAt),
    finishedAt === undefined ? '' : humanDuration(tookMs),
    outcomeOf(run),
    container?.slice(0, 12) ?? '',
  ]
}

async function show<T>(
  { output, flags }: CommandContext,
  items: readonly T[],
  table: { readonly head: readonly string[]; readonly row: (item: T) => string[] },
): Promise<number> {
  output.write(
    flags.bool('json')
      ? `${JSON.stringify(items, null, 2)}\n`
      : formatTable(table.head, items.map(table.row), output.width()),
  )
  return Promise.resolve(0)
}

const SUBCOMMANDS: Readonly<Record<string, Subcommand>> = {
  ls: {
    usage: '',
    summary: 'list the scheduled services of the stack, when each runs next and how it went last',
    arguments: { min: 0, max: 0 },
    flags: ['json'],
    run: async (context) => {
      const stack = await resolveStackName(context)
      const jobs = await (await context.client()).jobs(stack)
      return show(context, jobs, { head: ['SERVICE', 'SCHEDULE', 'NEXT', 'LAST'], row: jobRow })
    },
  },
  history: {
    usage: '[SERVICE]',
    summary: 'list the runs that are remembered, newest first',
    arguments: { min: 0, max: 1 },
    flags: ['json'],
    run: async (context, [service]) => {
      const stack = await resolveStackName(context)
      const runs = await (await context.client()).jobHistory(stack, service)
      const head = ['SERVICE', 'TRIGGER', 'STARTED', 'TOOK', 'OUTCOME', 'CONTAINER']
      return show(context, runs, { head, row: runRow })
    },
  },
  run: {
    usage: 'SERVICE',
    summary: 'start a run now, without waiting for its end',
    arguments: { min: 1, max: 1 },
    flags: ['json'],
    run: async (context, [service = '']) => {
      const stack = await resolveStackName(context)
      const run = await (await context.client()).runJob(stack, service)
      if (context.flags.bool('json')) context.output.line(JSON.stringify(run))
      else context.output.line(run.container ?? run.id)
      return 0
    },
  },
}

export const command: Command = withSubcommands(
  'jobs',
  {
    summary: 'List scheduled services and their runs, or run one now',
    details:
      'A service with x-tsstack.schedule runs when its time has come, each time in a container of its own.',
    flags: FLAGS,
    examples: [
      ['tsstack jobs ls', 'What is scheduled, and when it runs next'],
      ['tsstack jobs history backup', 'How the runs of backup went'],
      ['tsstack jobs run backup', 'Not wait until its time has come'],
    ],
  },
  SUBCOMMANDS,
)
