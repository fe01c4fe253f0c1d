import { resolve } from 'node:path'
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
  const text = `services:\n  web:\n    image: project-web:1\n    ${service}\n  db: { image: db:1 }\n${top}`
  const { stack } = loadFrom({ 'stack.yaml': text, 'conf/a': '' })
  const found = policyFindings(stack, {
    root: '/project',
    directory: '/project',
    allow: { ...NOTHING_ALLOWED, ...allow },
    others: ['project_db', 'project-api', 'blog'],
    realpath: (path) => (path === '/srv/data/link' ? '/etc' : resolve(path)),
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
  ['ulimits: {rtprio: 1}', 'ulimits.rtprio', '--allow-privileged', { privileged: true }],
  ['ulimits: {memlock: -1}', 'ulimits.memlock', '--allow-privileged', { privileged: true }],
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
  ['ports: ["22:22"]', 'ports.0', '--allow-ports 22', { ports: ['22'] }],
  ['ports: ["127.0.0.1:443:443"]', 'ports.0', '--allow-ports 443', { ports: ['80-443'] }],
  [
    'ports: [{ target: 80, published: "1000-1100" }]',
    'ports.0',
    '--allow-ports 1000-1100',
    { ports: ['1000-1010', '1011-1023'] },
  ],
  [
    'container_name: blog-web-1',
    'container_name',
    '--allow-external blog-web-1',
    { external: ['blog-web-1'] },
  ],
  [
    'build: { context: ./conf, tags: ["project-api:1"] }',
    'build.tags.0',
    '--allow-external project-api:1',
    { external: ['project-api:1'] },
  ],
  ['oom_score_adj: -1000', 'oom_score_adj', '--allow-privileged', { privileged: true }],
  ['oom_kill_disable: true', 'oom_score_adj', '--allow-privileged', { privileged: true }],
  ['cpu_rt_runtime: 400', 'cpu_rt_runtime', '--allow-privileged', { privileged: true }],
  ['runtime: crun', 'runtime', '--allow-privileged', { privileged: true }],
  ['security_opt: ["label=disable"]', 'security_opt.0', '--allow-privileged', { privileged: true }],
  ['x-tsstack: { owner: "0:0" }', 'x-tsstack.owner', '--allow-privileged', { privileged: true }],
  ['cgroup: host', 'cgroup', '--allow-host-namespaces', { hostNamespaces: true }],
  ['devices: ["/dev/net/../sda"]', 'devices.0', '--allow-devices', { devices: ['/dev/sda'] }],
  [
    'devices: ["vendor.com/gpu=0"]',
    'devices.0',
    '--allow-devices vendor.com/gpu=0',
    { devices: ['vendor.com/gpu=0'] },
  ],
  [
    'deploy: { resources: { reservations: { devices: [{ capabilities: [gpu] }] } } }',
    'deploy.resources.reservations.devices',
    '--allow-devices gpus',
    { devices: ['gpus'] },
  ],
  [
    'build: { context: ./conf, dockerfile: /etc/shadow }',
    'build.dockerfile',
    '--allow-host-paths /etc/shadow',
    { hostPaths: ['/etc'] },
  ],
  [
    'build: { context: ./conf, dockerfile: ../../etc/shadow }',
    'build.dockerfile',
    '--allow-host-paths /etc/shadow',
    { hostPaths: ['/etc'] },
  ],
  [
    'build: { context: ./conf, additional_contexts: { x: "docker-image://dir:/root" } }',
    'build.additional_contexts.x',
    '--allow-host-paths /root',
    { hostPaths: ['/root'] },
  ],
  [
    'build: { context: ./conf, additional_contexts: { x: "oci-layout:///root:1" } }',
    'build.additional_contexts.x',
    '--allow-host-paths /root',
    { hostPaths: ['/root'] },
  ],
  [
    'build: { context: ./conf, cache_from: ["type=local,src=/root"] }',
    'build.cache_from.0',
    '--allow-host-paths /root',
    { hostPaths: ['/root'] },
  ],
  [
    'build: { context: ./conf, cache_from: ["base"], cache_to: ["type=registry,ref=postgres:16"] }',
    'build.cache_to.0',
    '--allow-external postgres:16',
    { external: ['postgres:16'] },
  ],
  [
    'build: { context: ./conf, tags: ["postgres:16"] }',
    'build.tags.0',
    '--allow-external postgres:16',
    { external: ['postgres:16'] },
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
    'build: { context: ./conf, additional_contexts: { x: "docker-image://alpine:3" } }',
    'build: { context: "https://example.com/app.git#main:web", dockerfile: ../../x }',
    'build: { context: ./conf, tags: ["registry.example.com/project/web:1"] }',
    'oom_score_adj: 500',
    'ports: ["80", "8080:80", "1024:80", "8000-8010:80"]',
    'container_name: web',
    'container_name: project-web',
    'container_name: blogger',
    'x-tsstack: { owner: folder }',
    'deploy: { resources: { limits: { memory: 64M } } }',
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
    ['volumes:\n  data: { name: project_db_data }\n', 'volumes.data', 'project_db_data'],
    ['networks:\n  front: { name: project_db_x }\n', 'networks.front', 'project_db_x'],
    ['networks:\n  front: { external: true, name: proxy }\n', 'networks.front', 'proxy'],
  ])('what belongs to others: %j', (top, path, name) => {
    const use = path.startsWith('volumes') ? 'volumes: ["data:/d"]' : 'networks: [front]'
    const { paths, suggestions } = findings(use, {}, top)
    expect(paths).toEqual([path])
    expect(suggestions[0]).toContain(`--allow-external ${name}`)
    expect(findings(use, { external: [name] }, top).paths).toEqual([])
  })

  test.each([
    ['{ driver_opts: { type: none, o: bind, device: /etc } }', 'device'],
    ['{ driver_opts: { type: none, o: bind, device: /project/conf } }', 'device'],
    ['{ driver_opts: { type: nfs, o: "addr=1.2.3.4", device: ":/export" } }', 'type'],
    ['{ driver_opts: { type: ext4, device: /dev/sda1 } }', 'type'],
    ['{ driver_opts: { type: ext4, device: /project/conf/disk.img } }', 'type'],
    ['{ driver_opts: { type: overlay, o: "lowerdir=/etc" } }', 'type'],
    ['{ driver_opts: { type: ramfs } }', 'type'],
  ])('a volume that is a device of the host: %s', (definition, option) => {
    const { paths } = findings('volumes: ["data:/d"]', {}, `volumes:\n  data: ${definition}\n`)
    expect(paths).toEqual([`volumes.data.driver_opts.${option}`])
  })

  test('a volume in memory, and a directory that is allowed', () => {
    const volume = (definition: string, allow: Partial<Permissions> = {}): readonly string[] =>
      findings('volumes: ["data:/d"]', allow, `volumes:\n  data: ${definition}\n`).paths
    expect(volume('{ driver_opts: { type: tmpfs, device: tmpfs, o: "size=1m" } }')).toEqual([])
    const bind = '{ driver_opts: { type: none, o: bind, device: /srv/data/a } }'
    expect(volume(bind, { hostPaths: ['/srv/data'] })).toEqual([])
    const link = '{ driver_opts: { type: none, o: bind, device: /srv/data/link } }'
    expect(volume(link, { hostPaths: ['/srv/data'] })).toHaveLength(1)
  })

  test.each([
    ['{ driver: macvlan, driver_opts: { parent: eth0 } }', 'driver'],
    ['{ driver_opts: { com.docker.network.bridge.name: eth0 } }', null],
  ])("a network that reaches into the host's: %s", (definition, at) => {
    const top = `networks:\n  front: ${definition}\n`
    const { paths, suggestions } = findings('networks: [front]', {}, top)
    expect(paths).toHaveLength(1)
    if (at !== null) expect(paths).toEqual([`networks.front.${at}`])
    expect(suggestions[0]).toContain('--allow-host-namespaces')
    expect(findings('networks: [front]', { hostNamespaces: true }, top).paths).toEqual([])
  })

  test.each([
    ['1.1.1.0/24', true],
    ['10.0.0.0/8', true],
    ['172.28.0.0/16', false],
    ['192.168.4.0/24', false],
    // Of the pools that all stacks share.
    ['10.201.0.0/16', true],
    ['10.201.16.0/20', false],
    ['2001:db8::/64', true],
    ['fd00:1::/64', false],
    ['::/8', true],
  ])('a network with subnet %s: refused: %s', (subnet, isRefused) => {
    const top = `networks:\n  front: { ipam: { config: [{ subnet: "${subnet}" }] } }\n`
    const { paths, suggestions } = findings('networks: [front]', {}, top)
    expect(paths).toEqual(isRefused ? ['networks.front.ipam.config.0.subnet'] : [])
    if (isRefused) expect(suggestions[0]).toContain(`--allow-external ${subnet}`)
    expect(findings('networks: [front]', { external: [subnet] }, top).paths).toEqual([])
  })
})
