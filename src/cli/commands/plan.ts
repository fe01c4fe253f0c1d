import type { Command } from '../command.ts'
import { paintPlan } from '../paint-plan.ts'
import { credentialsForStack } from '../../sources/registry-credentials.ts'
import { checkServices } from '../select-containers.ts'
import { loadWithServices } from '../stack-source.ts'
import { createStyle } from '../style.ts'
import { readUpOptions, sourceOf, UP_FLAGS } from '../up-options.ts'

const CHANGES_EXIT = 2

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...]',
  summary: 'Show what "up" would do, and why, without doing it',
  details: 'Exit code: 0 when nothing is to be done, 2 when something is, 1 on an error.',
  flags: [...UP_FLAGS, { name: 'json', kind: 'bool', help: 'The plan as JSON' }],
  examples: [
    ['tsstack plan', 'Each operation with its cause'],
    ['tsstack plan --json | jq ".operations[].kind"', 'For a program'],
    [
      'tsstack plan -f compose.yaml -f prod.yaml web',
      'Of one service, and those that it depends on',
    ],
  ],
  async run(context) {
    const { flags, output, positional } = context
    const loaded = await loadWithServices(context, positional)
    checkServices(positional, Object.keys(loaded.stack.services))
    const client = await context.client()
    const { plan, text } = await client.plan(loaded.stack.name, {
      ...sourceOf(loaded),
      options: readUpOptions(context),
      ...(await credentialsForStack(context.env, loaded.stack)),
    })
    if (flags.bool('json')) output.write(`${JSON.stringify(plan, null, 2)}\n`)
    else
      output.write(paintPlan(text.endsWith('\n') ? text : `${text}\n`, createStyle(output.color)))
    return plan.operations.length === 0 ? 0 : CHANGES_EXIT
  },
}
