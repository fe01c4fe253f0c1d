/** Stacks that differ in whatever a stack can differ in, so that each `up` finds another difference to deal with. */
import type { Service } from '../../../src/spec/stack.ts'
import type { StackParts } from '../../daemon-fixture.ts'
import type { Random } from './random.ts'

export const STACKS = ['alpha', 'beta'] as const

const IMAGE = 'host:sh,coreutils'
const BASE: Service = { image: IMAGE, command: ['sleep', '1000'], stop_grace_period: '1s' }

/** One of thousands of variants of a stack. */
export function randomVariant(random: Random, stack: string): StackParts {
  const hasCheck = random.chance(0.6)
  return {
    services: {
      web: web(random, stack, hasCheck),
      job: {
        ...BASE,
        command: ['sh', '-c', random.pick(['true', 'echo done', 'echo a; echo b >&2'])],
        restart: 'no',
        networks: { front: {} },
      },
      worker: {
        ...worker(random),
        depends_on: {
          web: { condition: hasCheck ? 'service_healthy' : 'service_started', required: true },
          job: { condition: 'service_completed_successfully', required: true },
        },
      },
      ...(random.chance(0.5) ? { terminal: terminal(random) } : {}),
      ...(random.chance(0.3) ? { looper: looper(random) } : {}),
    },
    networks: {
      front: { name: `${stack}_front`, ...(random.chance(0.2) ? { internal: true } : {}) },
      back: { name: `${stack}_back` },
    },
    volumes: { data: { name: `${stack}_data` }, other: { name: `${stack}_other` } },
    secrets: {
      key: { name: `${stack}_key`, content: random.pick(['one', 'two']) },
    },
  }
}

function web(random: Random, stack: string, hasCheck: boolean): Service {
  const published = { target: 80, protocol: 'tcp' } as const
  const fixedPort = stack === 'alpha' ? '18080' : '18081'
  const replicas = 1 + random.integer(3)
  return {
    ...BASE,
    deploy: {
      replicas,
      resources: { limits: { memory: random.pick(['67108864', '134217728']), pids: 50 } },
    },
    environment: { COLOUR: random.pick(['red', 'green']) },
    labels: { shade: random.pick(['light', 'dark']) },
    restart: random.pick(['no', 'always', 'unless-stopped', 'on-failure']),
    networks: random.pick<NonNullable<Service['networks']>>([
      { front: {} },
      { front: {}, back: { aliases: ['behind'] } },
      { back: {} },
    ]),
    ports: random.pick<NonNullable<Service['ports']>>([
      [],
      [published],
      replicas === 1 ? [{ ...published, published: fixedPort }] : [],
    ]),
    volumes: random.pick<NonNullable<Service['volumes']>>([
      [],
      [{ type: 'volume', source: 'data', target: '/data' }],
      [{ type: 'volume', target: '/anonymous' }],
      [{ type: 'tmpfs', target: '/scratch' }],
    ]),
    ...(hasCheck ? check(random) : {}),
  }
}

function check(random: Random): Service {
  const times = { interval: '200ms', timeout: '2s', retries: 5 }
  return random.pick<Service>([
    { healthcheck: { ...times, test: ['CMD', 'true'] } },
    { healthcheck: { ...times, test: ['CMD-SHELL', 'test -e /etc/hosts'] } },
    { healthcheck: times, 'x-tsstack': { probe: { file: '/etc/hosts' } } },
  ])
}

function worker(random: Random): Service {
  return {
    ...BASE,
    command: ['sh', '-c', 'while :; do echo working; sleep 0.05; done'],
    restart: 'always',
    read_only: random.chance(0.3),
    cpus: random.pick([0.5, 1]),
    networks: random.pick<NonNullable<Service['networks']>>([
      { back: {} },
      { back: {}, front: {} },
    ]),
    volumes: [{ type: 'volume', source: random.pick(['data', 'other']), target: '/work' }],
    ...(random.chance(0.5) ? { secrets: [{ source: 'key' }] } : {}),
    ...(random.chance(0.2) ? { userns_mode: 'host' } : {}),
  }
}

function terminal(random: Random): Service {
  return {
    ...BASE,
    command: ['sh'],
    tty: true,
    stdin_open: true,
    network_mode: random.pick(['none', 'host']),
    hostname: random.pick(['one', 'two']),
  }
}

/** Ends again and again. */
function looper(random: Random): Service {
  return {
    ...BASE,
    command: ['sh', '-c', 'sleep 0.1; exit 1'],
    restart: random.pick(['always', 'on-failure:2', 'unless-stopped']),
    networks: { back: {} },
  }
}
