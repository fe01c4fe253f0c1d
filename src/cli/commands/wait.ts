import type { Condition, ConditionType } from '../../api/status-types.ts'
import { flatten } from '../../client/flatten.ts'
import { TsstackError } from '../../errors.ts'
import type { Command, CommandContext } from '../command.ts'
import { showProgress } from '../progress.ts'
import { checkServices, selectContainers } from '../select-containers.ts'
import { resolveStackName } from '../stack-name.ts'

const CONDITIONS: readonly ConditionType[] = ['Ready', 'Progressing', 'Degraded', 'Stalled']

/** `condition=Ready`, or `Ready` alone. @throws {INVALID_ARGUMENT} */
export function parseCondition(text: string): ConditionType {
  const name = /^(?:condition=)?(\w+)$/.exec(text)?.[1]?.toLowerCase()
  const found = CONDITIONS.find((condition) => condition.toLowerCase() === name)
  if (found !== undefined) return found
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `invalid --for "${text}": expected condition=${CONDITIONS.join('|')}`,
  )
}

/** Why it does not hold. */
function shortfall(condition: Condition | undefined): string {
  if (condition === undefined) return ''
  const { type, status, reason, message } = condition
  return message === '' ? `${type} is ${status} (${reason})` : message
}

/** Until the condition holds, of the stack or of each of the services. */
async function waitForCondition(context: CommandContext, text: string): Promise<number> {
  const { flags, positional } = context
  const wanted = parseCondition(text)
  const timeoutSeconds = flags.number('timeout')
  const signal =
    timeoutSeconds === undefined ? undefined : AbortSignal.timeout(timeoutSeconds * 1000)
  const stack = await resolveStackName(context)
  const client = await context.client()
  let last = ''
  try {
    for await (const status of flatten(client.followStatus(stack, signal))) {
      checkServices(
        positional,
        status.services.map(({ name }) => name),
      )
      const subjects = status.services.filter(({ name }) => positional.includes(name))
      const lists = positional.length === 0 ? [status] : subjects
      const found = lists.map(({ conditions }) => conditions.find(({ type }) => type === wanted))
      if (found.length > 0 && found.every((condition) => condition?.status === 'True')) return 0
      last = shortfall(found.find((condition) => condition?.status !== 'True'))
    }
  } catch (error) {
    if (signal?.aborted !== true) throw error
  }
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot wait for ${wanted} of stack "${stack}" any longer${last === '' ? '' : `: ${last}`}`,
  )
}

export const command: Command = {
  usage: '[OPTIONS] SERVICE... | --for condition=Ready [SERVICE...]',
  summary: 'Wait until a container of these services has ended',
  details:
    'Its exit code is printed, and is that of the command. The first to end decides. With --for: until the stack, or each of ' +
    'the services, has that condition (see "tsstack status").',
  flags: [
    { name: 'down-project', kind: 'bool', help: 'Then take the whole stack down' },
    {
      name: 'for',
      kind: 'text',
      value: 'CONDITION',
      help: 'condition=Ready, Progressing, Degraded or Stalled',
    },
    { name: 'timeout', kind: 'seconds', value: 'SECONDS', help: 'With --for: at most this long' },
  ],
  examples: [
    ['tsstack wait migrate', 'Until the migration is over; its exit code is returned'],
    ['tsstack wait --for condition=Ready --timeout 60', 'Until all services are as declared'],
  ],
  async run(context) {
    const { flags, positional, output } = context
    const condition = flags.text('for')
    if (condition !== undefined) return waitForCondition(context, condition)
    if (positional.length === 0)
      throw new TsstackError('INVALID_ARGUMENT', '"tsstack wait" needs a service, or --for')
    const stack = await resolveStackName(context)
    const client = await context.client()
    const containers = await selectContainers({ context, client, stack }, positional, { all: true })
    if (containers.length === 0)
      throw new TsstackError(
        'NOT_FOUND',
        `Cannot wait for ${positional.map((name) => `"${name}"`).join(', ')}: no container of it`,
      )
    const first = await Promise.race(
      containers.map(async ({ id, name }) => ({ name, ...(await client.waitContainer(id)) })),
    )
    output.line(`container "${first.name}" exited with status code ${String(first.exitCode)}`)
    if (flags.bool('down-project')) await showProgress(client.down(stack, { options: {} }), context)
    return first.exitCode
  },
}
