import { describe, expect, test } from 'vitest'
import type { Permissions } from '../../src/api/gitops-types.ts'
import { policyFindings } from '../../src/gitops/policy.ts'
import { loadFrom } from '../spec/memory-files.ts'
import { NOTHING_ALLOWED } from './git-source.ts'

interface Outcome {
  readonly paths: readonly string[]
  readonly suggestions: readonly string[]
}

/** What the policy says of a service, and of what stands beside the services. */
function findings(service: string, allow: Partial<Permissions> = {}, top = ''): Outcome {
  const text = `services:\n  web:\n    image: web:1\n    ${service}\n  db: { image: db:1 }\n${top}`
  const { stack } = loadFrom({ 'stack.yaml': text, 'conf/a': '' })
  const found = policyFindings(stack, {
    root: '/project',
    directory: '/project',
    allow: { ...NOTHING_ALLOWED, ...allow },
    realpath: (path) => (path === '/srv/data/link' ? '/etc' : path),
  })
  return {
    paths: found.map(({ path }) => path.join('.')),
    suggestions: found.map(({ suggestion }) => suggestion ?? ''),
  }
}

const OPTION_CASES: readonly (readonly [string, string, string, Partial<Permissions>])[] = [
  ['privileged: true', 'privileged', '--allow-privileged', { privileged: true }],
  [
    'security_opt: ["seccomp=unconfined"]',
    'security_opt.0',
    '--allow-privileged',
    { privileged: true },
  ],
  [
    'security_opt: ["systempaths=unconfined"]',
    'security_opt.0',
    '--allow-privileged',
    { privileged: true },
  ],
  [
    'security_opt: ["no-new-privileges:false"]',
    'security_opt.0',
    '--allow-privileged',
    { privileged: true },
  ],
  ['cgroup_parent: /x', 'cgroup_parent', '--allow-privileged', { privileged: true }],
  ['use_api_socket: true', 'use_api_socket', '--allow-privileged', { privileged: true }],
  [
    'post_start: [{ command: [id], privileged: true }]',
    'post_start.0.privileged',
    '--allow-privileged',
    { privileged: true },
  ],
  [
    'device_cgroup_rules: ["c 1:3 rwm"]',
    'device_cgroup_rules',
    '--allow-privileged',
    { privileged: true },
  ],
  ['network_mode: host', 'network_mode', '--allow-host-namespaces', { hostNamespaces: true }],
  [
    'network_mode: container:other',
    'network_mode',
    '--allow-host-namespaces',
    { hostNamespaces: true },
  ],
  ['pid: host', 'pid', '--allow-host-namespaces', { hostNamespaces: true }],
  ['ipc: host', 'ipc', '--allow-host-namespaces', { hostNamespaces: true }],
  ['uts: host', 'uts', '--allow-host-namespaces', { hostNamespaces: true }],
  ['userns_mode: host', 'userns_mode', '--allow-host-namespaces', { hostNamespaces: true }],
  [
    'volumes_from: ["container:other"]',
    'volumes_from.0',
    '--allow-host-namespaces',
    { hostNamespaces: true },
  ],
  [
    'cap_add: [SYS_ADMIN]',
    'cap_add.0',
    '--allow-capabilities SYS_ADMIN',
    { capabilities: ['SYS_ADMIN'] },
  ],
  ['cap_add: [all]', 'cap_add.0', '--allow-capabilities ALL', { capabilities: ['ALL'] }],
  ['devices: ["/dev/kvm"]', 'devices.0', '--allow-devices /dev/kvm', { devices: ['/dev/kvm'] }],
  ['volumes: ["/etc:/host"]', 'volumes.0', '--allow-host-paths /etc', { hostPaths: ['/etc'] }],
  ['volumes: ["../x:/host"]', 'volumes.0', '--allow-host-paths /x', { hostPaths: ['/x'] }],
  [
    'volumes: ["/var/run/docker.sock:/s"]',
    'volumes.0',
    '--allow-host-paths /var/run/docker.sock',
    { hostPaths: ['/var/run'] },
  ],
  ['build: { context: /etc }', 'build.context', '--allow-host-paths /etc', { hostPaths: ['/etc'] }],
]

describe('policyFindings() refuses what reaches into the host, unless it is allowed', () => {
  test.each(OPTION_CASES)('%s', (service, path, option, allow) => {
    const { paths, suggestions } = findings(service)
    expect(paths).toEqual([`services.web.${path}`])
    expect(suggestions[0]).toContain(option)
    expect(findings(service, allow).paths).toEqual([])
  })

  test.each([
    'cap_add: [NET_BIND_SERVICE, CAP_CHOWN]',
    'cap_drop: [ALL]',
    'security_opt: ["no-new-privileges:true"]',
    'network_mode: service:db',
    'pid: service:db',
    'network_mode: none',
    'volumes: ["./conf:/conf", "/anonymous"]',
    'build: ./conf',
    'read_only: true',
  ])('and nothing else: %s', (service) => {
    expect(findings(service).paths).toEqual([])
  })

  test('an allowed directory does not open what a link in it leads to', () => {
    const allow = { hostPaths: ['/srv/data'] }
    expect(findings('volumes: ["/srv/data/sub:/x"]', allow).paths).toEqual([])
    expect(findings('volumes: ["/srv/data/link:/x"]', allow).paths).toHaveLength(1)
    expect(findings('volumes: ["/srv/database:/x"]', allow).paths).toHaveLength(1)
  })

  test.each(['dir:/root', 'oci:/srv/image:x', 'docker-archive:/a.tar', 'host:sh,/etc/shadow'])(
    'an image of the host: %s',
    (image) => {
      const { paths } = findings(`labels: {}`, {}, `  x: { image: "${image}" }\n`)
      expect(paths).toEqual(['services.x.image'])
    },
  )

  test.each([
    ['volumes:\n  data: { external: true, name: other_data }\n', 'volumes.data', 'other_data'],
    ['volumes:\n  data: { name: other_data }\n', 'volumes.data', 'other_data'],
    ['networks:\n  front: { external: true, name: proxy }\n', 'networks.front', 'proxy'],
  ])('what belongs to others: %j', (top, path, name) => {
    const use = path.startsWith('volumes') ? 'volumes: ["data:/d"]' : 'networks: [front]'
    const { paths, suggestions } = findings(use, {}, top)
    expect(paths).toEqual([path])
    expect(suggestions[0]).toContain(`--allow-external ${name}`)
    expect(findings(use, { external: [name] }, top).paths).toEqual([])
  })

  test.each([
    '{ driver_opts: { type: none, o: bind, device: /etc } }',
    '{ driver_opts: { type: nfs, o: "addr=1.2.3.4", device: ":/export" } }',
    '{ driver_opts: { type: ext4, device: /dev/sda1 } }',
  ])('a volume that is a device of the host: %s', (definition) => {
    const { paths } = findings('volumes: ["data:/d"]', {}, `volumes:\n  data: ${definition}\n`)
    expect(paths).toEqual(['volumes.data.driver_opts.device'])
  })
})
