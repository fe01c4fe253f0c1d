import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { fieldClass, SERVICE_FIELDS } from '../../src/planner/field-classes.ts'
import { serviceConfiguration, serviceFields } from '../../src/planner/service-fields.ts'
import type { Service } from '../../src/spec/stack.ts'
import { desiredState } from './states.ts'

const fieldsOf = (service: Service, parts = {}): Record<string, string> =>
  serviceFields('api', desiredState({ api: service }, parts))
const hashesOf = (service: Service, parts = {}) => {
  const { replaceHash, updateHash } = serviceConfiguration(
    'api',
    desiredState({ api: service }, parts),
  )
  return { replaceHash, updateHash }
}

const SCHEMA = '../shared/reference/compose-spec.json'

describe('fieldClass()', () => {
  test.skipIf(!existsSync(SCHEMA))(
    `knows every service attribute of the Compose schema of ${SCHEMA}`,
    () => {
      const schema = JSON.parse(readFileSync(SCHEMA, 'utf8')) as {
        $defs: { service: { properties: object }; deployment: { properties: object } }
      }
      const attributes = Object.keys(schema.$defs.service.properties)
      // Merged away or read by the spec room: no Service has them.
      const gone = new Set(['env_file', 'extends', 'label_file', 'pull_refresh_after'])
      expect(attributes.filter((key) => !(key in SERVICE_FIELDS) && !gone.has(key))).toEqual([])
      expect(Object.keys(SERVICE_FIELDS).filter((key) => !attributes.includes(key))).toEqual([])
    },
  )

  test.for([
    ['image', 'replace'],
    ['environment.mem_limit', 'replace'],
    ['mem_limit', 'update'],
    ['labels.com.example', 'update'],
    ['deploy.resources.limits.memory', 'update'],
    ['deploy.resources.reservations.devices', 'replace'],
    ['deploy.replicas', 'ignored'],
    ['deploy.unheard_of', 'replace'],
    ['networks.aliases.name', 'replace'],
    ['networks.*.aliases.default', 'update'],
    ['logging.driver', 'replace'],
    ['logging.options.max-size', 'update'],
    ['x-tsstack.probe.tcp', 'update'],
    ['x-tsstack.unheard_of', 'replace'],
    ['x-other.thing', 'ignored'],
    ['unheard_of', 'replace'],
  ])('says of %s: %s', ([field = '', expected]) => {
    expect(fieldClass(field)).toBe(expected)
  })
})

describe('serviceFields()', () => {
  test('a service whose IPC namespace another one joins has to be shareable', () => {
    const ipcOf = (ipc?: string): string | undefined =>
      serviceFields(
        'api',
        desiredState({ api: ipc === undefined ? {} : { ipc }, job: { ipc: 'service:api' } }),
      )['ipc']
    expect(ipcOf()).toBe('"shareable"')
    expect(ipcOf('private')).toBe('"shareable"')
    expect(ipcOf('host')).toBe('"host"')
    expect(fieldsOf({})['ipc']).toBeUndefined()
  })

  test('leaves out what says the default or means nothing to a container', () => {
    expect(
      fieldsOf({
        image: 'a',
        network_mode: 'none',
        build: { context: '.' },
        pull_policy: 'always',
        scale: 3,
        depends_on: {},
        profiles: ['x'],
        privileged: false,
        restart: 'no',
        cap_add: [],
        environment: {},
        deploy: { replicas: 3, labels: { a: 'b' } },
        expose: ['80'],
        'x-mine': { any: 'thing' },
      }),
    ).toEqual({ image: '"a"', network_mode: '"none"' })
  })

  test('tells an empty command from an absent one', () => {
    expect(fieldsOf({ command: [] })).toHaveProperty('command', '[]')
    expect(fieldsOf({ command: null })).not.toHaveProperty('command')
  })

  test.for<[string, Service, Service]>([
    ['keys', { environment: { A: '1', B: '2' } }, { environment: { B: '2', A: '1' } }],
    ['capabilities', { cap_add: ['A', 'B'] }, { cap_add: ['B', 'A', 'B'] }],
    [
      'ports',
      {
        ports: [
          { target: 80, published: '1', protocol: 'tcp' },
          { target: 81, published: '2', protocol: 'tcp', name: 'x' },
        ],
      },
      {
        ports: [
          { target: 81, published: '2', protocol: 'tcp' },
          { target: 80, published: '1', protocol: 'tcp', mode: 'ingress' },
        ],
      },
    ],
    [
      'aliases',
      { networks: { default: { aliases: ['a', 'b'] } } },
      { networks: { default: { aliases: ['b', 'a'] } } },
    ],
  ])('does not care for the order of %s', ([, left, right]) => {
    expect(fieldsOf(left)).toEqual(fieldsOf(right))
  })

  test('holds names of networks and volumes, and digests of contents', () => {
    const fields = fieldsOf(
      {
        volumes: [{ type: 'volume', source: 'data', target: '/d' }],
        secrets: [{ source: 'key', target: '/run/k' }],
      },
      {
        volumes: { data: { name: 'shop_data' } },
        contentDigests: { configs: {}, secrets: { key: 'beef' } },
        imageDigests: { api: 'sha256:1' },
      },
    )
    expect(fields).toEqual({
      image: '"host:sh"',
      'image.digest': '"sha256:1"',
      networks: '{"default":{"name":"shop_default"}}',
      secrets: '{"/run/k":{"content":"beef","source":"key"}}',
      volumes: '[{"source":"shop_data","target":"/d","type":"volume"}]',
    })
  })

  test('follows volumes_from to the mounts of the source', () => {
    const withTarget = (target: string) =>
      desiredState({ api: { volumes_from: ['db'] }, db: { volumes: [{ type: 'tmpfs', target }] } })
    expect(serviceFields('api', withTarget('/a'))).not.toEqual(
      serviceFields('api', withTarget('/b')),
    )
  })
})

describe('serviceConfiguration()', () => {
  const base = { image: 'a' }
  test.for<[string, Service, 'replaceHash' | 'updateHash' | 'neither']>([
    ['image', { image: 'b' }, 'replaceHash'],
    ['environment', { ...base, environment: { A: '1' } }, 'replaceHash'],
    ['mem_limit', { ...base, mem_limit: '1024' }, 'updateHash'],
    ['healthcheck', { ...base, healthcheck: { retries: 3 } }, 'updateHash'],
    ['probe', { ...base, 'x-tsstack': { probe: { tcp: 1 } } }, 'updateHash'],
    ['aliases', { ...base, networks: { default: { aliases: ['x'] } } }, 'updateHash'],
    ['address', { ...base, networks: { default: { ipv4_address: '10.0.0.2' } } }, 'replaceHash'],
    ['replicas', { ...base, deploy: { replicas: 5 } }, 'neither'],
    ['build', { ...base, build: { context: '/x' } }, 'neither'],
  ])('changes the right hash for %s', ([, service, changed]) => {
    const before = hashesOf(base)
    const after = hashesOf(service)
    expect(before.replaceHash === after.replaceHash).toBe(changed !== 'replaceHash')
    expect(before.updateHash === after.updateHash).toBe(changed !== 'updateHash')
  })
})
