import { describe, expect, test } from 'vitest'
import { formatPlan } from '../../src/planner/format-plan.ts'
import type { ObservedState } from '../../src/planner/observed-state.ts'
import type { OperationKind, Plan } from '../../src/planner/plan.ts'
import { planDown } from '../../src/planner/plan-down.ts'
import { planUp } from '../../src/planner/plan-up.ts'
import { container, desiredState, NOTHING, simulate } from './states.ts'

const SHOP = desiredState(
  {
    db: { volumes: [{ type: 'volume', source: 'data', target: '/data' }] },
    api: { depends_on: { db: { condition: 'service_started', required: true } } },
    web: {
      depends_on: { api: { condition: 'service_started', required: true } },
      networks: { default: null, front: null },
    },
  },
  {
    networks: { front: { name: 'shop_front' } },
    volumes: { data: { name: 'shop_data' } },
  },
)
const UP = simulate(planUp(SHOP, NOTHING, {}), NOTHING, SHOP)

function targets(plan: Plan, kind: OperationKind): string[] {
  return plan.operations
    .filter((operation) => operation.kind === kind)
    .map((operation) => {
      if ('container' in operation) return operation.container
      if ('network' in operation) return operation.network
      return 'volume' in operation ? operation.volume : operation.service
    })
}

describe('planDown()', () => {
  test('removes containers in reverse order, then networks, then volumes', () => {
    expect(formatPlan(planDown(UP, SHOP.stack, { volumes: true }))).toMatchInlineSnapshot(`
      "  - remove  container shop-web-1    stack goes down
        - remove  container shop-api-1    stack goes down
        - remove  container shop-db-1     stack goes down
              ! the data in it is lost
        - remove  network   shop_default  stack goes down
        - remove  network   shop_front    stack goes down
        - remove  volume    shop_data     stack goes down
              ! the data in it is lost

      Plan: 0 to create, 0 to update, 0 to replace, 6 to remove"
    `)
  })

  test('stops dependents first', () => {
    expect(targets(planDown(UP, SHOP.stack, {}), 'stop-container')).toEqual([
      'shop-web-1',
      'shop-api-1',
      'shop-db-1',
    ])
  })

  test('keeps volumes when they were not asked for', () => {
    const after = simulate(planDown(UP, SHOP.stack, {}), UP)
    expect(after.volumes.map(({ name }) => name)).toEqual(['shop_data'])
    expect([...after.containers, ...after.networks]).toEqual([])
  })

  test('has the recorded order without a stack', () => {
    const recorded: ObservedState = {
      ...UP,
      containers: UP.containers.map((entry) => ({
        ...entry,
        dependsOn: Object.keys(SHOP.stack.services[entry.service]?.depends_on ?? {}),
      })),
    }
    const plan = planDown(recorded, undefined, { volumes: true })
    expect(targets(plan, 'stop-container')).toEqual(['shop-web-1', 'shop-api-1', 'shop-db-1'])
    expect(simulate(plan, recorded)).toEqual(NOTHING)
  })

  test('works when the stack file has become a cycle', () => {
    const cyclic = desiredState({ db: { links: ['api'] }, api: { links: ['db'] } })
    const plan = planDown(UP, cyclic.stack, { volumes: true, removeOrphans: true })
    expect(simulate(plan, UP)).toEqual(NOTHING)
  })

  test('does not wait for what does not run, and takes one-off containers along', () => {
    const observed = {
      ...UP,
      containers: [
        ...UP.containers.map((entry) => ({ ...entry, state: 'exited' as const })),
        container(SHOP, 'web', { id: 'run', name: 'shop-web-run-1', oneoff: true }),
      ],
    }
    const plan = planDown(observed, SHOP.stack, {})
    expect(targets(plan, 'stop-container')).toEqual(['shop-web-run-1'])
    expect(targets(plan, 'remove-container')).toHaveLength(4)
  })

  test('leaves orphans and their networks, with a warning', () => {
    const orphan = container(SHOP, 'web', {
      id: 'o',
      name: 'shop-old-1',
      service: 'old',
      networks: ['shop_front'],
    })
    const observed = { ...UP, containers: [...UP.containers, orphan] }
    const plan = planDown(observed, SHOP.stack, {})
    expect(targets(plan, 'remove-network')).toEqual(['shop_default'])
    expect(plan.warnings.join()).toContain('shop-old-1')
    const all = planDown(observed, SHOP.stack, { removeOrphans: true, volumes: true })
    expect(simulate(all, observed)).toEqual(NOTHING)
  })

  test('of one service removes what only it uses', () => {
    const web = planDown(UP, SHOP.stack, { services: ['web'], volumes: true })
    expect(targets(web, 'remove-container')).toEqual(['shop-web-1'])
    expect(targets(web, 'remove-network')).toEqual(['shop_front'])
    expect(targets(web, 'remove-volume')).toEqual([])
    const db = planDown(UP, SHOP.stack, { services: ['db'], volumes: true })
    expect(targets(db, 'remove-volume')).toEqual(['shop_data'])
    expect(() => planDown(UP, SHOP.stack, { services: ['nope'] })).toThrow('"nope": not in the')
  })

  test('never touches what is external or not of the stack', () => {
    const observed = {
      ...NOTHING,
      networks: [
        { name: 'host-net', configHash: '' },
        { name: 'ext', key: 'ext', configHash: '' },
      ],
      volumes: [{ name: 'ext-vol', key: 'ext-vol', configHash: '' }],
    }
    const { stack } = desiredState(
      {},
      {
        networks: { ext: { name: 'ext', external: true } },
        volumes: { 'ext-vol': { name: 'ext-vol', external: true } },
      },
    )
    expect(planDown(observed, stack, { volumes: true }).operations).toEqual([])
  })

  test('takes anonymous volumes that no container has any more, when volumes were asked for', () => {
    const observed = { ...NOTHING, volumes: [{ name: 'f00d', configHash: '' }] }
    const { stack } = desiredState({})
    expect(targets(planDown(observed, stack, { volumes: true }), 'remove-volume')).toEqual(['f00d'])
    expect(planDown(observed, stack, {}).operations).toEqual([])
  })

  test('removes anonymous volumes only with volumes', () => {
    const removal = (volumes: boolean): unknown =>
      planDown(UP, SHOP.stack, { volumes }).operations.find(
        ({ kind }) => kind === 'remove-container',
      )
    expect(removal(true)).toHaveProperty('volumes', true)
    expect(removal(false)).not.toHaveProperty('volumes')
  })
})
