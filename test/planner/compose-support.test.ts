/** No attribute of the schema is without a word in the table, and no word is about an attribute that does not exist. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkSupport } from '../../src/planner/compose-findings.ts'
import { COMPOSE_SUPPORT, supportOf } from '../../src/planner/compose-support.ts'
import { TsstackError } from '../../src/errors.ts'
import type { Service, Stack } from '../../src/spec/stack.ts'
import { desiredState } from './states.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const UPSTREAM = join(ROOT, '..', 'shared', 'reference', 'compose-spec.json')
const HOST = { platform: 'linux/amd64' }

type Schema = Readonly<Record<string, unknown>>

/** Every attribute of a JSON Schema by its path: `*` any key, `[]` any item. */
function pathsOf(root: Schema): Set<string> {
  const paths = new Set<string>()
  const follow = (reference: string): Schema =>
    reference
      .replace(/^#\//, '')
      .split('/')
      .reduce((node, key) => node[key] as Schema, root)
  const visit = (node: Schema | undefined, path: string, depth: number): void => {
    if (node === undefined || typeof node !== 'object' || depth > 8) return
    if (typeof node['$ref'] === 'string') {
      visit(follow(node['$ref']), path, depth)
      return
    }
    for (const key of ['oneOf', 'anyOf', 'allOf'])
      for (const variant of (node[key] ?? []) as Schema[]) visit(variant, path, depth + 1)
    for (const [key, inner] of Object.entries((node['properties'] ?? {}) as Schema)) {
      const below = path === '' ? key : `${path}.${key}`
      paths.add(below)
      visit(inner as Schema, below, depth + 1)
    }
    const anyKey = [
      ...Object.values((node['patternProperties'] ?? {}) as Schema),
      node['additionalProperties'],
    ]
    for (const inner of anyKey) visit(inner as Schema, `${path}.*`, depth + 1)
    visit(node['items'] as Schema | undefined, `${path}[]`, depth + 1)
  }
  visit(root, '', 0)
  return paths
}

const read = (file: string): Set<string> =>
  pathsOf(JSON.parse(readFileSync(file, 'utf8')) as Schema)
const ours = read(join(ROOT, 'stack.schema.json'))

/** Attributes of a service and of the top level must be named themselves, not only by what they belong to. */
const mustBeNamed = (path: string): boolean => /^(?:services\.\*\.)?[\w-]+$/.test(path)

function missing(paths: ReadonlySet<string>): string[] {
  return [...paths].filter((path) =>
    mustBeNamed(path) ? COMPOSE_SUPPORT[path] === undefined : supportOf(path) === undefined,
  )
}

function stackOf(service: Service, more: Partial<Stack> = {}): Stack {
  const empty = { networks: {}, volumes: {}, configs: {}, secrets: {} }
  return { name: 'shop', ...empty, ...more, services: { web: { image: 'a', ...service } } }
}

const check = (service: Service, more: Partial<Stack> = {}): string[] =>
  checkSupport(stackOf(service, more), new Set(['web']), HOST)

describe('COMPOSE_SUPPORT', () => {
  test('has every attribute of stack.schema.json, and no other', () => {
    expect(missing(ours)).toEqual([])
    expect(Object.keys(COMPOSE_SUPPORT).filter((path) => !ours.has(path))).toEqual([])
  })

  test.skipIf(!existsSync(UPSTREAM))(
    `has every attribute of the upstream schema${existsSync(UPSTREAM) ? '' : ' (skipped: ../shared/reference is not there)'}`,
    () => {
      expect(missing(read(UPSTREAM))).toEqual([])
    },
  )
})

function thrownBy(work: () => unknown): TsstackError {
  try {
    work()
  } catch (error) {
    if (error instanceof TsstackError) return error
  }
  throw new Error('it should have thrown a TsstackError')
}

describe('checkSupport()', () => {
  test('names all that is refused, with reason and remedy', () => {
    const refuse = (): string[] => check({ runtime: 'kata', cgroup_parent: '/x' })
    expect(refuse).toThrow(
      /service "web": cgroup_parent is refused: .*\n.*service "web": runtime is refused/,
    )
    expect(thrownBy(refuse)).toMatchObject({ code: 'UNIMPLEMENTED' })
    expect(thrownBy(refuse).hint).toContain('runtime: Remove it')
  })

  test('says what has no effect', () => {
    expect(check({ cpu_count: 2 })).toEqual([
      'service "web": cpu_count has no effect: for Windows containers',
    ])
  })

  test('says whose socket is mounted, and which ports and options lead to nothing', () => {
    const socket = { type: 'bind', source: '/var/run/docker.sock', target: '/s' } as const
    const ports = [{ target: 80, published: '80', protocol: 'tcp' }] as const
    const services = { a: { volumes: [socket] }, b: { network_mode: 'host', ports }, c: {} }
    const networks = { default: { name: 'n', driver_opts: { mtu: '1' } } }
    const { stack } = desiredState(services, { networks })
    expect(checkSupport(stack, new Set(['a', 'b']), HOST)).toEqual([
      'service "b": ports has no effect: its programs listen on the host itself',
      'network "default": mtu has no effect: there is no such option',
      'service "a" mounts the socket of Docker, which knows nothing of the containers of tsstack',
    ])
  })

  test('of logs, names the options that have no effect; another driver has none as a whole', () => {
    expect(
      check({ logging: { driver: 'local', options: { 'max-size': '1m', tag: 'x' } } }),
    ).toEqual(['service "web": logging.options.tag has no effect'])
    const syslog = check({ logging: { driver: 'syslog', options: { 'syslog-address': 'x' } } })
    expect(syslog).toHaveLength(1)
  })

  test.each<[string, Service]>([
    ['the default isolation', { isolation: 'default' }],
    ['this platform', { platform: 'linux/amd64' }],
    ['this platform without a machine', { platform: 'linux' }],
    ['32 bits of it', { platform: 'linux/386' }],
    ['this platform, as uname calls it', { platform: 'linux/x86_64' }],
    ['its machine alone', { platform: 'amd64' }],
    ['bounds of logs', { logging: { options: { 'max-size': '1m', 'max-file': '2' } } }],
    ['runc by name', { runtime: 'runc' }],
    ['an external runtime', { runtime: 'crun' }],
    ['replicas', { deploy: { mode: 'replicated', replicas: 2 } }],
    ['empty lists', { gpus: [], storage_opt: {} }],
    ['false', { use_api_socket: false }],
  ])('passes %s', (_, service) => {
    expect(check(service)).toEqual([])
  })

  test.each<[string, Service, Partial<Stack>]>([
    ['another platform', { platform: 'linux/arm64' }, {}],
    ['another system', { platform: 'windows/amd64' }, {}],
    [
      'an external secret',
      { secrets: [{ source: 's' }] },
      { secrets: { s: { name: 's', external: true } } },
    ],
    [
      'a network driver',
      { networks: { n: null } },
      { networks: { n: { name: 'n', driver: 'overlay' } } },
    ],
    ['a mount of a kind that is not there', { volumes: [{ type: 'cluster', target: '/x' }] }, {}],
  ])('refuses %s', (_, service, more) => {
    expect(() => check(service, more)).toThrow('is refused')
  })

  test('passes over services and networks that a request is not about', () => {
    const stack = {
      ...stackOf({}, { networks: { other: { name: 'other', driver: 'overlay' } } }),
      services: {
        web: { image: 'a' },
        other: { image: 'a', runtime: 'kata', networks: { other: null } },
      },
    }
    expect(checkSupport(stack, new Set(['web']), HOST)).toEqual([])
  })
})
