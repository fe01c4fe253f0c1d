import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { DesiredState, UpOptions } from '../../src/planner/desired-state.ts'
import { formatPlan } from '../../src/planner/format-plan.ts'
import type { ObservedContainer, ObservedState } from '../../src/planner/observed-state.ts'
import { planDown } from '../../src/planner/plan-down.ts'
import { planLifecycle } from '../../src/planner/plan-lifecycle.ts'
import type { Plan } from '../../src/planner/plan.ts'
import { planUp } from '../../src/planner/plan-up.ts'
import type { Dependency, Service } from '../../src/spec/stack.ts'
import { desiredState, NOTHING, simulate } from './states.ts'

const RUNS = { numRuns: 300 }
const NAMES = ['api', 'cache', 'constructor', 'db', 'job', 'web', 'worker']

const condition = fc.constantFrom<Dependency['condition']>('service_started', 'service_healthy')

/** A service that depends only on names before its own, so that there is no cycle. */
function serviceAt(index: number): fc.Arbitrary<Service> {
  const earlier = NAMES.slice(0, index)
  const dependency = fc.record(
    { condition, required: fc.boolean(), restart: fc.boolean() },
    { requiredKeys: ['condition', 'required'] },
  ) as fc.Arbitrary<Dependency>
  return fc
    .record(
      {
        image: fc.constantFrom('a:1', 'a:2'),
        mem_limit: fc.constantFrom('4096', '8192'),
        scale: fc.integer({ min: 0, max: 3 }),
        restart: fc.constantFrom('no', 'always', 'on-failure'),
        ports: fc.constantFrom(
          [],
          [{ target: 80, published: '8080', protocol: 'tcp' }],
          [{ target: 80, published: '9090', protocol: 'tcp' }],
        ),
        networks: fc.constantFrom(
          { default: null },
          { front: null },
          { default: null, front: null },
        ),
        volumes: fc.constantFrom([], [{ type: 'volume' as const, source: 'data', target: '/d' }]),
        depends_on:
          earlier.length === 0
            ? fc.constant({})
            : fc.dictionary(fc.constantFrom(...earlier), dependency),
        shared:
          earlier.length === 0
            ? fc.constant(undefined)
            : fc.option(fc.constantFrom(...earlier), { nil: undefined, freq: 6 }),
      },
      { requiredKeys: [] },
    )
    .map(({ shared, networks, ...service }): Service => {
      if (shared !== undefined) return { ...service, network_mode: `service:${shared}` }
      return { ...service, healthcheck: { test: ['CMD', 'x'] }, ...(networks ? { networks } : {}) }
    })
}

const services: fc.Arbitrary<Record<string, Service>> = fc
  .tuple(fc.subarray(NAMES), ...NAMES.map((_, index) => serviceAt(index)))
  .map(([chosen, ...definitions]) => {
    const kept = new Set(chosen)
    const entries = NAMES.flatMap((name, index): [string, Service][] => {
      const definition = definitions[index]
      return kept.has(name) && definition ? [[name, prune(definition, kept)]] : []
    })
    return Object.fromEntries(entries)
  })

/** Leaves out what the stack does not have. */
function prune({ network_mode, ...service }: Service, kept: ReadonlySet<string>): Service {
  const depends_on = Object.fromEntries(
    Object.entries(service.depends_on ?? {}).filter(([name]) => kept.has(name)),
  )
  const shares = network_mode !== undefined && kept.has(network_mode.replace('service:', ''))
  return { ...service, depends_on, ...(shares ? { network_mode } : {}) }
}

const desired: fc.Arbitrary<DesiredState> = fc
  .tuple(services, fc.boolean())
  .map(([chosen, internal]) =>
    desiredState(chosen, {
      networks: { front: { name: 'shop_front', internal } },
      volumes: { data: { name: 'shop_data' } },
    }),
  )

const damage = fc.constantFrom<Partial<ObservedContainer> | 'gone'>(
  {},
  {},
  'gone',
  { state: 'created' },
  { state: 'exited', exitCode: 1 },
  { state: 'exited', exitCode: 0 },
  { state: 'exited', exitCode: 0, stopRequested: true },
  { state: 'dead' },
  { state: 'restarting' },
  { health: 'starting' },
  { replaceHash: 'stale' },
  { updateHash: 'stale', fields: {} },
)

/** What an earlier stack left, damaged: the ordinary state of a host. */
const observed: fc.Arbitrary<ObservedState> = fc
  .tuple(desired, fc.array(damage, { minLength: 30, maxLength: 30 }), fc.boolean())
  .map(([before, damages, isEmpty]) => {
    if (isEmpty) return NOTHING
    const up = simulate(planUp(before, NOTHING, {}), NOTHING, before)
    const containers = up.containers.flatMap((container, index) => {
      const change = damages[index] ?? {}
      return change === 'gone' ? [] : [{ ...container, ...change }]
    })
    return { ...up, containers }
  })

const options: fc.Arbitrary<UpOptions> = fc.record(
  { removeOrphans: fc.constant(true), renewAnonVolumes: fc.boolean() },
  { requiredKeys: ['removeOrphans'] },
)

function assertOrdered(plan: Plan): void {
  plan.operations.forEach(({ id, dependsOn }, index) => {
    expect(id).toBe(index + 1)
    expect(dependsOn.every((dependency) => dependency >= 1 && dependency < id)).toBe(true)
    expect(new Set(dependsOn).size).toBe(dependsOn.length)
  })
}

/** The same plan in another order that its graph allows: always the last of the operations that could come next. */
function reordered(plan: Plan): Plan {
  const open = new Map(plan.operations.map((operation) => [operation.id, operation]))
  const operations = []
  while (open.size > 0) {
    const next = [...open.values()]
      .reverse()
      .find(({ dependsOn }) => dependsOn.every((id) => !open.has(id)))
    if (!next) throw new Error('the plan has a cycle')
    open.delete(next.id)
    operations.push(next)
  }
  return { ...plan, operations }
}

/** A write to it, however deep, throws. */
function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const member of Object.values(value)) frozen(member)
  return Object.freeze(value)
}

/** The same value with the keys of every object, and the observed lists, the other way round. */
function reversed<T>(value: T): T {
  if (Array.isArray(value)) return value.map((item: unknown) => reversed(item)) as T
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).reverse()
  return Object.fromEntries(entries.map(([key, member]) => [key, reversed(member)])) as T
}

describe('planUp()', () => {
  test('carried out, leaves nothing to do', () => {
    fc.assert(
      fc.property(desired, observed, options, (wanted, found, up) => {
        const plan = planUp(wanted, found, up)
        assertOrdered(plan)
        const after = simulate(plan, found, wanted)
        expect(formatPlan(planUp(wanted, after, up))).toBe(
          'Nothing to do: stack "shop" is as desired',
        )
      }),
      RUNS,
    )
  })

  test('has the same end in every order that its graph allows', () => {
    fc.assert(
      fc.property(desired, observed, options, (wanted, found, up) => {
        const after = simulate(reordered(planUp(wanted, found, up)), found, wanted)
        expect(planUp(wanted, after, up).operations).toEqual([])
      }),
      RUNS,
    )
  })

  test('goes on from wherever failures have left it', () => {
    const dice = fc.infiniteStream(fc.boolean())
    fc.assert(
      fc.property(desired, observed, dice, (wanted, found, fails) => {
        const up = { removeOrphans: true }
        const plan = planUp(wanted, found, up)
        const failing = new Set(
          plan.operations.flatMap(({ id }) => (fails.next().value === true ? id : [])),
        )
        const left = simulate(plan, found, wanted, failing)
        const after = simulate(planUp(wanted, left, up), left, wanted)
        expect(planUp(wanted, after, up).operations).toEqual([])
      }),
      RUNS,
    )
  })

  test('changes nothing that it is given, and says the same again', () => {
    fc.assert(
      fc.property(desired, observed, options, (wanted, found, up) => {
        const [frozenWanted, frozenFound] = [frozen(wanted), frozen(found)]
        const plan = planUp(frozenWanted, frozenFound, frozen(up))
        expect(planUp(frozenWanted, frozenFound, up)).toEqual(plan)
      }),
      RUNS,
    )
  })

  test('does not depend on the order of keys and observations', () => {
    fc.assert(
      fc.property(desired, observed, options, (wanted, found, up) => {
        const shuffled = {
          ...reversed(found),
          containers: reversed(found.containers).toReversed(),
          networks: reversed(found.networks).toReversed(),
        }
        expect(planUp(reversed(wanted), shuffled, up)).toEqual(planUp(wanted, found, up))
      }),
      RUNS,
    )
  })

  test('formats within 80 columns and without control characters', () => {
    fc.assert(
      fc.property(desired, observed, options, (wanted, found, up) => {
        const lines = formatPlan(planUp(wanted, found, up)).split('\n')
        expect(lines.filter((line) => line.length > 80)).toEqual([])
      }),
      RUNS,
    )
  })
})

describe('planDown()', () => {
  test('of anything leaves nothing', () => {
    fc.assert(
      fc.property(observed, fc.option(desired, { nil: undefined }), (found, wanted) => {
        const plan = planDown(found, wanted?.stack, { volumes: true, removeOrphans: true })
        assertOrdered(plan)
        expect(simulate(plan, found)).toEqual(NOTHING)
        expect(simulate(reordered(plan), found)).toEqual(NOTHING)
      }),
      RUNS,
    )
  })
})

describe('planLifecycle()', () => {
  test('stop leaves nothing running, and start leaves nothing stopped', () => {
    fc.assert(
      fc.property(desired, (wanted) => {
        const up = simulate(planUp(wanted, NOTHING, {}), NOTHING, wanted)
        const target = (state: ObservedState) => ({ observed: state, stack: wanted.stack })
        const stopped = simulate(planLifecycle('stop', target(up), {}), up, wanted)
        expect(stopped.containers.filter(({ state }) => state !== 'exited')).toEqual([])
        const started = simulate(planLifecycle('start', target(stopped), {}), stopped, wanted)
        expect(planUp(wanted, started, {}).operations).toEqual([])
        const again = simulate(planLifecycle('restart', target(started), {}), started, wanted)
        expect(planUp(wanted, again, {}).operations).toEqual([])
      }),
      RUNS,
    )
  })
})

describe('planUp() of many services', () => {
  const chainOf = (count: number): DesiredState =>
    desiredState(
      Object.fromEntries(
        Array.from({ length: count }, (_, index) => [
          `s${index}`,
          index % 10 === 0
            ? {}
            : {
                depends_on: { [`s${index - 1}`]: { condition: 'service_healthy', required: true } },
              },
        ]),
      ),
    )

  test('takes time in proportion to their number', { timeout: 60_000, retry: 2 }, () => {
    const time = (wanted: DesiredState, found: ObservedState): number => {
      const start = performance.now()
      planUp(wanted, found, {})
      return performance.now() - start
    }
    const best = (count: number): number => {
      const wanted = chainOf(count)
      const up = simulate(planUp(wanted, NOTHING, {}), NOTHING, wanted)
      const rounds = [1, 2, 3, 4, 5].map(() => time(wanted, NOTHING) + time(wanted, up))
      return Math.min(...rounds)
    }
    best(200)
    expect(best(2000) / best(200)).toBeLessThan(30)
  })
})
