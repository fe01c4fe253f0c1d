import { formatPlan } from '../../planner/format-plan.ts'
import { credentialsForStack } from '../../sources/registry-credentials.ts'
import type { Command } from '../command.ts'
import { paintPlan } from '../paint-plan.ts'
import { planDocument, withPositions, writePlan } from '../saved-plan.ts'
import { checkServices } from '../select-containers.ts'
import { loadWithServices } from '../stack-source.ts'
import { createStyle } from '../style.ts'
import { readUpOptions, sourceOf, UP_FLAGS } from '../up-options.ts'

const CHANGES_EXIT = 2

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...]',
  summary: 'Show what "up" would do, and why, without doing it',
  details:
    'Exit code: 0 when nothing is to be done, 2 when something is, 1 on an error. A plan that is saved with --out is applied ' +
    'by "tsstack up --plan FILE", exactly as it is, or refused when the world has moved. The file holds secrets.',
  flags: [
    ...UP_FLAGS,
    { name: 'json', kind: 'bool', help: 'The plan as JSON' },
    { name: 'out', kind: 'text', value: 'FILE', help: 'Save the plan for "up --plan FILE"' },
    {
      name: 'detailed-exitcode',
      kind: 'bool',
      help: 'The default; =false: 0 when something is to be done, too',
    },
  ],
  examples: [
    ['tsstack plan', 'Each operation with its cause'],
    ['tsstack plan --json | jq ".operations[].kind"', 'For a program'],
    ['tsstack plan --out plan.json && tsstack up -d --plan plan.json', 'Look first, then do it'],
    [
      'tsstack plan -f compose.yaml -f prod.yaml web',
      'Of one service, and those that it depends on',
    ],
  ],
  async run(context) {
    const { flags, output, positional, cwd } = context
    const loaded = await loadWithServices(context, positional)
    checkServices(positional, Object.keys(loaded.stack.services))
    const client = await context.client()
    const request = {
      ...sourceOf(loaded),
      options: readUpOptions(context),
      ...(await credentialsForStack(context.env, loaded.stack)),
    }
    const response = await client.plan(loaded.stack.name, request)
    const plan = withPositions(response.plan, loaded)
    const document = planDocument({ plan, base: response.base })
    const file = flags.text('out')
    if (file !== undefined) writePlan(file, document, request)
    if (flags.bool('json')) output.write(`${JSON.stringify(document, null, 2)}\n`)
    else {
      const text = formatPlan(plan, { directory: cwd })
      output.write(paintPlan(`${text}\n`, createStyle(output.color)))
    }
    const isPlain = flags.has('detailed-exitcode') && !flags.bool('detailed-exitcode')
    return plan.operations.length === 0 || isPlain ? 0 : CHANGES_EXIT
  },
}
