import type { Condition, ServiceStatus, StackStatus, Suspension } from '../../api/status-types.ts'
import { flatten } from '../../client/flatten.ts'
import type { Command, CommandContext } from '../command.ts'
import { lowerDuration } from '../human.ts'
import { onInterrupt } from '../interrupt.ts'
import { resolveStackName } from '../stack-name.ts'
import { formatTable, printable } from '../table.ts'

/** The condition that says most: what is wrong, else what is on its way, else that it is ready. */
function headline(conditions: readonly Condition[]): string {
  const holds = (type: string): Condition | undefined =>
    conditions.find((condition) => condition.type === type && condition.status === 'True')
  const found = holds('Stalled') ?? holds('Progressing') ?? holds('Degraded') ?? holds('Ready')
  if (found === undefined) return 'Unknown'
  return found.message === '' ? found.type : `${found.type} (${found.reason}): ${found.message}`
}

/** `by root, for 2 hours more: new disk`. */
function byHandText({ author, until, reason }: Suspension, now: Date): string {
  const leftMs = until === undefined ? undefined : Date.parse(until) - now.getTime()
  const end = leftMs === undefined ? '' : `, for ${lowerDuration(Math.max(0, leftMs))} more`
  return `by ${author}${end}${reason === undefined ? '' : `: ${reason}`}`
}

function overrideText({ override }: ServiceStatus, now: Date): string {
  if (override === undefined) return ''
  const { kind, replicas } = override
  const what = replicas === undefined ? kind : `${kind} to ${String(replicas)}`
  return `${what} ${byHandText(override, now)}`
}

/** What the last column says is not said twice. */
function serviceHeadline({ conditions, override }: ServiceStatus): string {
  if (override?.kind === 'stopped') return 'Degraded (StoppedByHand)'
  return headline(conditions)
}

/** Pure. @param now - what is left of a time is counted from */
export function formatStatus(status: StackStatus, now: Date): string {
  const { stack, revision, mode, suspended, conditions, services, drift, lastError } = status
  const lines = [
    `${stack}: ${headline(conditions)}`,
    ...(revision === undefined ? [] : [`revision:  ${String(revision)}`]),
    ...(mode === 'repair' ? [] : [`reconcile: ${mode}`]),
    ...(suspended === undefined ? [] : [`suspended: ${byHandText(suspended, now)}`]),
    ...drift.map(({ subject, difference }) => `drift:     ${subject}: ${difference}`),
    ...(lastError === undefined ? [] : [`error:     ${lastError}`]),
  ]
  const table = formatTable(
    ['SERVICE', 'RUNNING', 'STATUS', 'BY HAND'],
    services.map((service) => [
      service.name,
      `${String(service.running)}/${String(service.desired)}`,
      serviceHeadline(service),
      overrideText(service, now),
    ]),
  )
  return `${lines.map(printable).join('\n')}\n\n${table}`
}

function show({ flags, output }: CommandContext, status: StackStatus): void {
  output.write(
    flags.bool('json') ? `${JSON.stringify(status)}\n` : formatStatus(status, new Date()),
  )
}

export const command: Command = {
  usage: '[OPTIONS]',
  summary: 'Show how a stack and its services are, and what was done to them by hand',
  details:
    'Conditions are Ready, Progressing, Degraded and Stalled, each with a reason and a message. Differences from what is ' +
    'declared that are not repaired are listed as drift.',
  flags: [
    { name: 'json', kind: 'bool', help: 'As JSON, an object a line' },
    { name: 'watch', short: 'w', kind: 'bool', help: 'Again after each change' },
  ],
  examples: [
    ['tsstack status', 'How it is now'],
    ['tsstack status --watch --json', 'A line of JSON after each change'],
  ],
  arguments: { min: 0, max: 0 },
  async run(context) {
    const stack = await resolveStackName(context)
    const client = await context.client()
    if (!context.flags.bool('watch')) {
      show(context, await client.status(stack))
      return 0
    }
    const interrupt = onInterrupt()
    try {
      let isFirst = true
      for await (const status of flatten(client.followStatus(stack, interrupt.signal))) {
        if (!isFirst && !context.flags.bool('json')) context.output.write('\n')
        isFirst = false
        show(context, status)
      }
    } catch (error) {
      if (!interrupt.signal.aborted) throw error
    } finally {
      interrupt.close()
    }
    return interrupt.signal.aborted ? 130 : 0
  },
}
