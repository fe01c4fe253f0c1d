import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { planDocument } from '../../src/cli/saved-plan.ts'
import { formatPlan } from '../../src/planner/format-plan.ts'
import type { UpOptions } from '../../src/planner/desired-state.ts'
import type { ObservedContainer, ObservedState } from '../../src/planner/observed-state.ts'
import type { Plan } from '../../src/planner/plan.ts'
import { builtInNetworkOf } from '../../src/planner/built-in-network.ts'
import { planUp } from '../../src/planner/plan-up.ts'
import type { Dependency, Service } from '../../src/spec/stack.ts'
import { container, desiredState, NOTHING, simulate, type StackParts } from './states.ts'

type Services = Readonly<Record<string, Service>>

const STARTED: Dependency = { condition: 'service_started', required: true }
const HEALTHY: Dependency = { condition: 'service_healthy', required: true }
const COMPLETED: Dependency = { condition: 'service_completed_successfully', required: true }
const CHECK = { healthcheck: { test: ['CMD', 'true'] } }

interface Situation {
  /** What is up already; absent: nothing. */
  readonly was?: Services
  readonly wasParts?: StackParts
  readonly now: Services
  readonly parts?: Parameters<typeof desiredState>[1]
  /** What happened to containers since, by name. */
  readonly since?: Readonly<Record<string, Partial<ObservedContainer> | 'gone'>>
  readonly options?: UpOptions
}

const ROLLING = { update_config: { order: 'start-first', parallelism: 2 } }

const WEB_ON_API: Services = {
  api: { image: 'api:1' },
  web: { image: 'web:1', depends_on: { api: STARTED } },
}

const THREE_TIERS: Services = {
  db: { image: 'db:1', ...CHECK },
  migrate: { image: 'api:1', depends_on: { db: HEALTHY } },
  api: { image: 'api:1', depends_on: { db: HEALTHY, migrate: COMPLETED } },
}

const SITUATIONS: Readonly<Record<string, Situation>> = {
  'rolling update some at a time': {
    was: { web: { image: 'web:1', scale: 3, deploy: ROLLING }, api: { image: 'api:1' } },
    now: {
      web: { image: 'web:2', scale: 3, deploy: ROLLING, depends_on: { api: HEALTHY } },
      api: { image: 'api:1', ...CHECK },
    },
  },
  'rolling update stops first': {
    was: { web: { image: 'web:1' } },
    now: { web: { image: 'web:2', deploy: { update_config: {} } } },
  },
  'rolling update of what others wait for and restart with': {
    was: WEB_ON_API,
    now: {
      api: { image: 'api:2', deploy: ROLLING, ...CHECK },
      web: { image: 'web:1', depends_on: { api: { ...HEALTHY, restart: true } } },
    },
  },
  'what an update that was cut short has left goes first': {
    was: { web: { image: 'web:1' } },
    since: { 'shop-web-1': { state: 'exited', part: 'standby', name: 'shop-web-1-next' } },
    now: { web: { image: 'web:2', deploy: ROLLING } },
  },
  'rolling update with a fixed address stops first': {
    was: { web: { image: 'web:1' } },
    now: {
      web: {
        image: 'web:2',
        deploy: ROLLING,
        networks: { default: { ipv4_address: '10.0.0.9' } },
      },
    },
  },
  'namespace sharers are no rolling update': {
    was: { web: { image: 'web:1' }, side: { image: 'side:1', network_mode: 'service:web' } },
    now: {
      web: { image: 'web:2', deploy: ROLLING },
      side: { image: 'side:1', network_mode: 'service:web' },
    },
  },
  'first up of everything': {
    now: {
      ...THREE_TIERS,
      db: {
        image: 'db:1',
        ...CHECK,
        volumes: [{ type: 'volume', source: 'data', target: '/data' }],
      },
      web: {
        image: 'web:1',
        networks: { front: null, default: null },
        depends_on: { api: STARTED },
        scale: 2,
      },
    },
    parts: {
      networks: { front: { name: 'shop_front' }, unused: { name: 'shop_unused' } },
      volumes: { data: { name: 'shop_data' }, unused: { name: 'shop_unused' } },
    },
  },
  'nothing changed': { was: WEB_ON_API, now: WEB_ON_API },
  'image changed': { was: WEB_ON_API, now: { ...WEB_ON_API, api: { image: 'api:2' } } },
  'same tag with another digest': {
    was: { api: { image: 'api:1' } },
    now: { api: { image: 'api:1' } },
    parts: { imageDigests: { api: `sha256:${'12ab'.repeat(16)}` } },
  },
  'limits and ports change in place': {
    was: { api: { image: 'api:1', mem_limit: '67108864' } },
    now: {
      api: {
        image: 'api:1',
        mem_limit: '134217728',
        cpus: 0.5,
        ports: [{ target: 80, published: '8080', protocol: 'tcp', host_ip: '127.0.0.1' }],
        deploy: { resources: { limits: { pids: 100 } } },
        'x-tsstack': { probe: { tcp: 80 } },
      },
    },
  },
  'replacement shows in-place fields too': {
    was: { api: { image: 'api:1', labels: { tier: 'a' }, command: ['serve'] } },
    now: { api: { image: 'api:1', labels: { tier: 'b' }, command: ['serve', '--fast'] } },
  },
  'long values get a line each': {
    was: { api: { command: ['serve', '--with', 'a-rather-long-option', '--and', 'another-one'] } },
    now: { api: { command: ['serve', '--with', 'a-rather-long-option', '--and', 'no-other-one'] } },
  },
  'sensitive values are hidden': {
    was: {
      api: { environment: { DB_PASSWORD: 'old', URL: 'pg://me:pw@db/x', MODE: 'a' } },
    },
    now: {
      api: { environment: { DB_PASSWORD: 'new', URL: 'pg://me:pw@db/y', MODE: 'b' } },
    },
  },
  'content of config and secret changed': {
    was: { api: { configs: [{ source: 'conf' }], secrets: [{ source: 'key' }] } },
    now: { api: { configs: [{ source: 'conf' }], secrets: [{ source: 'key' }] } },
    parts: {
      contentDigests: { configs: { conf: 'cd'.repeat(32) }, secrets: { key: 'ef'.repeat(32) } },
    },
  },
  'scaled up': { was: { api: {} }, now: { api: { scale: 3 } } },
  'scaled down removes the highest numbers': {
    was: { api: { scale: 3 } },
    now: { api: {} },
  },
  'scaled down removes obsolete replicas first': {
    was: { api: { scale: 3 } },
    now: { api: { scale: 2 } },
    since: { 'shop-api-1': { replaceHash: 'stale' } },
  },
  'scaled to nothing by an option': {
    was: { api: { scale: 2 } },
    now: { api: { scale: 2 } },
    options: { scale: { api: 0 } },
  },
  'a replica is missing': {
    was: { api: { scale: 3 } },
    now: { api: { scale: 3 } },
    since: { 'shop-api-2': 'gone' },
  },
  'ended, created, dead and paused containers': {
    was: { a: {}, b: {}, c: {}, d: {} },
    now: { a: {}, b: {}, c: {}, d: {} },
    since: {
      'shop-a-1': { state: 'exited', exitCode: 137 },
      'shop-b-1': { state: 'created' },
      'shop-c-1': { state: 'dead' },
      'shop-d-1': { state: 'paused' },
    },
  },
  'stopped with code 0 is started again': {
    was: { api: {} },
    now: { api: {} },
    since: { 'shop-api-1': { state: 'exited', exitCode: 0, stopRequested: true } },
  },
  'completed one-shot is not run again': {
    was: { job: {} },
    now: { job: {} },
    since: { 'shop-job-1': { state: 'exited', exitCode: 0 } },
  },
  'completed one-shot runs again when it is named': {
    was: { job: {} },
    now: { job: {} },
    since: { 'shop-job-1': { state: 'exited', exitCode: 0 } },
    options: { services: ['job'], rerun: ['job'] },
  },
  'completed job runs again for a changed dependent': {
    was: THREE_TIERS,
    now: { ...THREE_TIERS, api: { ...THREE_TIERS['api'], image: 'api:2' } },
  },
  'completed job runs again after a new dependency': {
    was: THREE_TIERS,
    now: { ...THREE_TIERS, db: { ...THREE_TIERS['db'], image: 'db:2' } },
  },
  'dependents restart with a replaced service': {
    was: { ...WEB_ON_API, web: { depends_on: { api: { ...STARTED, restart: true } } } },
    now: {
      api: { image: 'api:2' },
      web: { depends_on: { api: { ...STARTED, restart: true } } },
    },
  },
  'namespace sharers are replaced too': {
    was: { app: { image: 'app:1' }, sidecar: { network_mode: 'service:app' } },
    now: { app: { image: 'app:2' }, sidecar: { network_mode: 'service:app' } },
  },
  'namespace sharers restart when the source is started': {
    was: { app: {}, sidecar: { network_mode: 'service:app' } },
    now: { app: {}, sidecar: { network_mode: 'service:app' } },
    since: { 'shop-app-1': { state: 'exited', exitCode: 1 } },
  },
  'network definition changed': {
    was: WEB_ON_API,
    now: WEB_ON_API,
    parts: { networks: { default: { name: 'shop_default', internal: true } } },
  },
  'orphans are listed': {
    was: { ...WEB_ON_API, old: {} },
    now: WEB_ON_API,
  },
  'orphans are removed': {
    was: { ...WEB_ON_API, old: {} },
    now: WEB_ON_API,
    options: { removeOrphans: true },
  },
  'services of inactive profiles are no orphans': {
    was: { ...WEB_ON_API, debug: {} },
    now: WEB_ON_API,
    parts: { disabledServices: ['debug'] },
  },
  'only one service and what it needs': {
    now: { ...THREE_TIERS, other: {} },
    options: { services: ['migrate'] },
  },
  'no dependencies': { now: WEB_ON_API, options: { services: ['web'], noDeps: true } },
  'optional dependencies': {
    now: {
      cache: { ...CHECK },
      web: {
        depends_on: {
          cache: { condition: 'service_started', required: false },
          absent: { condition: 'service_started', required: false },
        },
      },
    },
  },
  'waits for a running service that is not healthy yet': {
    was: { db: { ...CHECK } },
    now: { db: { ...CHECK }, api: { depends_on: { db: HEALTHY } } },
    since: { 'shop-db-1': { health: 'starting' } },
  },
  'before a run of a service what it depends on is waited for': {
    now: THREE_TIERS,
    options: { services: ['db', 'migrate'], before: 'api' },
  },
  'no dependencies means no waiting either': {
    was: { db: { ...CHECK } },
    now: { db: { ...CHECK }, api: { depends_on: { db: HEALTHY } } },
    since: { 'shop-db-1': { health: 'unhealthy' } },
    options: { services: ['api'], noDeps: true },
  },
  'forced recreation of one service': {
    was: WEB_ON_API,
    now: WEB_ON_API,
    options: { forceRecreate: true, services: ['web'] },
  },
  'no recreation': {
    was: { api: { image: 'api:1', mem_limit: '4096' } },
    now: { api: { image: 'api:2', mem_limit: '8192' } },
    options: { noRecreate: true },
  },
  'create but do not start': {
    was: { api: { image: 'api:1' } },
    now: { api: { image: 'api:2' }, web: { depends_on: { api: HEALTHY } } },
    options: { noStart: true },
  },
  'a published port moves between services': {
    was: { a: { ports: [{ target: 80, published: '8080', protocol: 'tcp' }] }, b: {} },
    now: {
      a: {},
      b: { image: 'b:2', ports: [{ target: 81, published: '8080', protocol: 'tcp' }] },
    },
  },
  'container_name is taken over from an orphan': {
    was: { old: { container_name: 'the-one' } },
    now: { fresh: { container_name: 'the-one' } },
    options: { removeOrphans: true },
  },
  'resources that are not ours': {
    now: { api: { volumes: [{ type: 'volume', source: 'data', target: '/d' }] } },
    parts: { volumes: { data: { name: 'elsewhere', external: true } } },
  },
}

function planOf({ was, wasParts, now, parts, since, options = {} }: Situation): Plan {
  const desired = desiredState(now, parts)
  return planUp(desired, observedOf({ was, wasParts, parts, since }), options)
}

function externalName({ name, external }: { name: string; external?: boolean }): string[] {
  return external === true ? [name] : []
}

function observedOf({
  was,
  wasParts,
  parts,
  since,
}: {
  [K in 'was' | 'wasParts' | 'parts' | 'since']: Situation[K] | undefined
}): ObservedState {
  const others = {
    networks: [],
    volumes: Object.values(parts?.volumes ?? {}).flatMap(externalName),
  }
  if (!was) return { ...NOTHING, others }
  const before = desiredState(was, {
    ...wasParts,
    ...(parts?.volumes ? { volumes: parts.volumes } : {}),
  })
  const up = simulate(planUp(before, NOTHING, {}), NOTHING, before)
  const containers = up.containers.flatMap((entry) => {
    const change = since?.[entry.name] ?? {}
    return change === 'gone' ? [] : [{ ...entry, ...change }]
  })
  return { ...up, containers }
}

/** The graph behind the text: `[1,2] -> #3 start-container shop-db-1`. */
function graphText({ operations }: Plan): string {
  return operations
    .map((operation) => {
      const target =
        'container' in operation
          ? operation.container
          : 'network' in operation
            ? operation.network
            : 'volume' in operation
              ? operation.volume
              : operation.kind === 'roll-out-service'
                ? operation.service
                : `${operation.service} ${operation.condition}${operation.required ? '' : ' (optional)'}`
      return `[${operation.dependsOn.join(',')}] -> #${operation.id} ${operation.kind} ${target}`
    })
    .join('\n')
}

describe('planUp() makes the golden plan', () => {
  test.for(Object.keys(SITUATIONS))('when: %s', async (name) => {
    const situation = SITUATIONS[name]
    if (!situation) throw new Error('no such situation')
    const plan = planOf(situation)
    await expect(`${formatPlan(plan)}\n\n${graphText(plan)}\n`).toMatchFileSnapshot(
      `golden/${name.replaceAll(/[^a-z0-9_]+/g, '-')}.txt`,
    )
  })
})

/** docs/plan.schema.json, with nothing beside what it names. */
function closedSchema(): z.ZodType {
  const text = readFileSync('docs/plan.schema.json', 'utf8')
  const closed = text.replaceAll('"properties":', '"additionalProperties": false, "properties":')
  return z.fromJSONSchema(JSON.parse(closed) as z.core.JSONSchema.JSONSchema)
}

test.for(Object.entries(SITUATIONS))('docs/plan.schema.json names all of: %s', ([, situation]) => {
  const document = planDocument({ plan: planOf(situation), base: 'b'.repeat(64) })
  expect(closedSchema().safeParse(JSON.parse(JSON.stringify(document))).error).toBeUndefined()
})

test('connections drain where other replicas stay, as long as the service says', () => {
  const drains = (scale: number): unknown[] => {
    const web = { image: 'web:1', 'x-tsstack': { drain: '3s' } }
    const situation = { was: { web: { ...web, scale: 3 } }, now: { web: { ...web, scale } } }
    const { operations } = planOf(situation)
    return operations.flatMap((operation) =>
      operation.kind === 'stop-container' ? [operation.drainMs] : [],
    )
  }
  expect(drains(1)).toEqual([3000, 3000])
  expect(drains(0)).toEqual([undefined, undefined, undefined])
})

describe('planUp() ends where it began', () => {
  // Options that ask for less than the desired state leave something to do.
  const complete = Object.entries(SITUATIONS).filter(
    ([, { options }]) => !options?.noRecreate && !options?.noStart && !options?.forceRecreate,
  )
  test.for(complete)('after: %s', ([, situation]) => {
    const desired = desiredState(situation.now, situation.parts)
    const { was, wasParts, parts, since } = situation
    const observed = observedOf({ was, wasParts, parts, since })
    const options = situation.options ?? {}
    const after = simulate(planUp(desired, observed, options), observed, desired)
    expect(planUp(desired, after, options).operations).toEqual([])
  })
})

describe('planUp() refuses', () => {
  const data = [{ type: 'volume', source: 'data', target: '/d' }] as const

  test('a changed volume definition, because its data would be lost', () => {
    const before = desiredState(
      { db: { volumes: data } },
      { volumes: { data: { name: 'shop_data' } } },
    )
    const after = desiredState(
      { db: { volumes: data } },
      { volumes: { data: { name: 'shop_data', driver_opts: { type: 'nfs' } } } },
    )
    const observed = simulate(planUp(before, NOTHING, {}), NOTHING, before)
    expect(() => planUp(after, observed, {})).toThrow('Cannot change volume "shop_data"')
  })

  test('nothing when only labels of networks and volumes changed', () => {
    const before = desiredState(
      { db: { volumes: data } },
      { volumes: { data: { name: 'shop_data' } } },
    )
    const after = desiredState(
      { db: { volumes: data } },
      {
        volumes: { data: { name: 'shop_data', labels: { a: 'b' } } },
        networks: { default: { name: 'shop_default', labels: { a: 'b' } } },
      },
    )
    const observed = simulate(planUp(before, NOTHING, {}), NOTHING, before)
    expect(planUp(after, observed, {}).operations).toEqual([])
  })

  test('to take a name from a container that stays', () => {
    const before = desiredState({ old: { container_name: 'one' } })
    const observed = simulate(planUp(before, NOTHING, {}), NOTHING, before)
    const after = desiredState({ fresh: { container_name: 'one' } })
    expect(() => planUp(after, observed, {})).toThrow(
      'Cannot create container "one" of service "fresh"',
    )
  })

  test('to replace a network on which a one-off container runs', () => {
    const before = desiredState({ api: {} })
    const observed = simulate(planUp(before, NOTHING, {}), NOTHING, before)
    const oneoff = container(before, 'api', { id: 'run', name: 'shop-api-run-1', oneoff: true })
    const after = desiredState(
      { api: {} },
      { networks: { default: { name: 'shop_default', internal: true } } },
    )
    const withRun = { ...observed, containers: [...observed.containers, oneoff] }
    expect(() => planUp(after, withRun, {})).toThrow('container "shop-api-run-1" runs on it')
  })

  test.for<[string, Services, UpOptions, string]>([
    ['a cycle', { a: { depends_on: { b: STARTED } }, b: { links: ['a'] } }, {}, 'a -> b -> a'],
    ['an unknown service', { a: {} }, { services: ['b'] }, 'Cannot select service "b"'],
    ['an unknown scale', { a: {} }, { scale: { b: 1 } }, 'Cannot scale service "b"'],
    ['negative replicas', { a: {} }, { scale: { a: -1 } }, 'must be from 0 to 1000'],
    ['too many replicas', { a: { scale: 1e9 } }, {}, 'must be from 0 to 1000'],
    ['one name for two', { a: { container_name: 'x', scale: 2 } }, {}, 'can be given once'],
    ['both recreates', { a: {} }, { forceRecreate: true, noRecreate: true }, 'exclude each other'],
    ['an undefined network', { a: { networks: { x: null } } }, {}, 'Cannot plan network "x"'],
    ['a required absent service', { a: { depends_on: { b: STARTED } } }, {}, 'which is not in the'],
  ])('%s', ([, services, options, message]) => {
    expect(() => planUp(desiredState(services), NOTHING, options)).toThrow(message)
  })

  test('external networks and volumes that do not exist, by their names', () => {
    const network = desiredState(
      { api: { networks: { proxy: null } } },
      { networks: { proxy: { name: 'web', external: true } } },
    )
    expect(() => planUp(network, NOTHING, {})).toThrow(/web.*declared as external/)
    const others = { networks: ['web'], volumes: [] }
    expect(planUp(network, { ...NOTHING, others }, {}).warnings).toEqual([])
    const volume = desiredState(
      { api: { volumes: data } },
      { volumes: { data: { name: 'elsewhere', external: true } } },
    )
    expect(() => planUp(volume, NOTHING, {})).toThrow(/elsewhere.*declared as external/)
  })

  test('a built-in network beside others', () => {
    const networks = { lan: null, out: null }
    const desired = desiredState(
      { api: { networks } },
      { networks: { lan: { name: 'lan' }, out: { name: 'host', external: true } } },
    )
    const { stack } = desired
    expect(() => builtInNetworkOf('api', { networks }, stack)).toThrow('it has other networks')
    expect(builtInNetworkOf('api', { networks: { out: null } }, stack)).toBe('host')
  })
})

test('planUp() restarts containers whose network is gone', () => {
  const desired = desiredState({ api: {} })
  const up = simulate(planUp(desired, NOTHING, {}), NOTHING, desired)
  const kinds = planUp(desired, { ...up, networks: [] }, {}).operations.map(({ kind }) => kind)
  expect(kinds).toEqual(['create-network', 'stop-container', 'start-container'])
})

test('planUp() never touches one-off containers', () => {
  const desired = desiredState({ api: {} })
  const up = simulate(planUp(desired, NOTHING, {}), NOTHING, desired)
  const oneoff = container(desired, 'api', { id: 'run', name: 'shop-api-run-1', oneoff: true })
  const observed = { ...up, containers: [...up.containers, { ...oneoff, replaceHash: 'other' }] }
  expect(planUp(desired, observed, { removeOrphans: true }).operations).toEqual([])
})

test('planUp() copes with service names that objects have already', () => {
  const names = ['constructor', 'toString', 'hasOwnProperty', 'valueOf']
  const desired = desiredState(Object.fromEntries(names.map((name) => [name, {}])))
  const plan = planUp(desired, NOTHING, {})
  expect(plan.operations.filter(({ kind }) => kind === 'start-container')).toHaveLength(4)
  const after = simulate(plan, NOTHING, desired)
  expect(planUp(desired, after, {}).operations).toEqual([])
})
