import { describe, expect, test } from 'vitest'
import { formatPlan } from '../../src/planner/format-plan.ts'
import type { Plan } from '../../src/planner/plan.ts'

const planOf = (operation: object, warnings: readonly string[] = []): Plan => ({
  stack: 'shop',
  operations: [{ id: 1, dependsOn: [], ...operation }] as unknown as Plan['operations'],
  warnings,
})

describe('formatPlan()', () => {
  test('escapes what a terminal would obey', () => {
    const text = formatPlan(
      planOf(
        {
          kind: 'update-container',
          service: 'a',
          container: 'evil\u001b[2J',
          containerId: 'x',
          cause: 'bidi \u202e text',
          changes: [{ field: 'labels.\u0007', before: undefined, after: '"\u009b31m"' }],
        },
        ['bell \u0007'],
      ),
    )
    expect(text).toContain('evil\\u001b[2J')
    expect(text).toContain('bidi \\u202e text')
    expect(text).toContain('labels.\\u0007: (none) -> "\\u009b31m"')
    expect(text).toContain('Warning: bell \\u0007')
  })

  test('colours marks only when asked', () => {
    const plan = planOf({ kind: 'create-network', network: 'n', cause: 'network is new' })
    expect(formatPlan(plan)).not.toContain('\u001b')
    expect(formatPlan(plan, { color: true })).toContain('\u001b[32m  + create')
  })

  test('cuts values that nobody reads', () => {
    const after = JSON.stringify('x'.repeat(5000))
    const text = formatPlan(
      planOf({
        kind: 'update-container',
        service: 'a',
        container: 'a-1',
        containerId: 'x',
        cause: 'labels.a changed',
        changes: [{ field: 'labels.a', before: '"y"', after }],
      }),
    )
    expect(text).toContain('... (5002 characters)')
    expect(text.length).toBeLessThan(600)
  })
})
