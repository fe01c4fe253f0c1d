/**
 * What a change of each service field asks for. This table is the one place where it is decided whether a change costs
 * a new container:
 *
 * - `replace`: fixed when the container is made (Compose replaces for every field)
 * - `update`: changed on the running container
 * - `ignored`: means nothing to a container that exists (how it is built, ordered, counted, shown)
 *
 * A nested path wins over its parent. A field that is not in the table counts as `replace`: a needless replacement is
 * better than a change that silently does nothing. `x-` fields other than ours are ignored.
 */
import type { Deploy, Service, ServiceExtension } from '../spec/stack.ts'

export type FieldClass = 'replace' | 'update' | 'ignored'

/** The keys that a type declares itself, without its `x-` index signature. */
type DeclaredKeys<T> = keyof { [K in keyof T as K extends `x-${string}` ? never : K]: T[K] }

/** Every attribute of a service; `deploy`, `logging` and `networks` are divided further below. */
export const SERVICE_FIELDS = {
  annotations: 'update',
  attach: 'ignored',
  blkio_config: 'update',
  build: 'ignored',
  cap_add: 'replace',
  cap_drop: 'replace',
  cgroup: 'replace',
  cgroup_parent: 'replace',
  command: 'replace',
  configs: 'replace',
  container_name: 'replace',
  cpu_count: 'update',
  cpu_percent: 'update',
  cpu_period: 'update',
  cpu_quota: 'update',
  cpu_rt_period: 'update',
  cpu_rt_runtime: 'update',
  cpu_shares: 'update',
  cpus: 'update',
  cpuset: 'update',
  credential_spec: 'replace',
  depends_on: 'ignored',
  deploy: 'replace',
  develop: 'ignored',
  device_cgroup_rules: 'replace',
  devices: 'replace',
  dns: 'replace',
  dns_opt: 'replace',
  dns_search: 'replace',
  domainname: 'replace',
  entrypoint: 'replace',
  environment: 'replace',
  // Documentation: the containers of a network reach each other's ports without it.
  expose: 'ignored',
  external_links: 'replace',
  extra_hosts: 'replace',
  gpus: 'replace',
  group_add: 'replace',
  healthcheck: 'update',
  hostname: 'replace',
  image: 'replace',
  init: 'replace',
  ipc: 'replace',
  isolation: 'replace',
  labels: 'update',
  links: 'replace',
  logging: 'replace',
  mac_address: 'replace',
  mem_limit: 'update',
  mem_reservation: 'update',
  mem_swappiness: 'update',
  memswap_limit: 'update',
  models: 'replace',
  network_mode: 'replace',
  networks: 'replace',
  oom_kill_disable: 'update',
  oom_score_adj: 'replace',
  pid: 'replace',
  pids_limit: 'update',
  platform: 'replace',
  ports: 'update',
  // Run once when a container starts; a change of it alone takes effect at the next start.
  post_start: 'update',
  // What it prepared is part of the container.
  pre_start: 'replace',
  pre_stop: 'update',
  privileged: 'replace',
  profiles: 'ignored',
  provider: 'ignored',
  pull_policy: 'ignored',
  read_only: 'replace',
  restart: 'update',
  runtime: 'replace',
  scale: 'ignored',
  secrets: 'replace',
  security_opt: 'replace',
  shm_size: 'replace',
  stdin_open: 'replace',
  stop_grace_period: 'update',
  stop_signal: 'update',
  storage_opt: 'replace',
  sysctls: 'replace',
  tmpfs: 'replace',
  tty: 'replace',
  ulimits: 'replace',
  use_api_socket: 'replace',
  user: 'replace',
  userns_mode: 'replace',
  uts: 'replace',
  volumes: 'replace',
  volumes_from: 'replace',
  working_dir: 'replace',
} as const satisfies Record<DeclaredKeys<Service>, FieldClass>

/** Every member of `deploy`. */
export const DEPLOY_FIELDS = {
  endpoint_mode: 'ignored',
  // Labels of the service, not of its containers.
  labels: 'ignored',
  mode: 'ignored',
  placement: 'ignored',
  replicas: 'ignored',
  resources: 'update',
  restart_policy: 'update',
  rollback_config: 'ignored',
  update_config: 'ignored',
} as const satisfies Record<DeclaredKeys<Deploy>, FieldClass>

/** Every member of `x-tsstack`. */
export const EXTENSION_FIELDS = {
  drain: 'ignored',
  image_policy: 'ignored',
  owner: 'replace',
  probe: 'update',
  replica: 'replace',
  restart_on: 'update',
  schedule: 'ignored',
} as const satisfies Record<keyof ServiceExtension, FieldClass>

const CLASSES: ReadonlyMap<string, FieldClass> = new Map<string, FieldClass>([
  ...Object.entries(SERVICE_FIELDS),
  ...nested('deploy', DEPLOY_FIELDS),
  ...nested('x-tsstack', EXTENSION_FIELDS),
  ['deploy.resources.limits.devices', 'replace'],
  ['deploy.resources.reservations.devices', 'replace'],
  ['deploy.resources.limits.generic_resources', 'ignored'],
  ['deploy.resources.reservations.generic_resources', 'ignored'],
  ['logging.options', 'update'],
  // No network can be called `*`, so this path is nobody's attachment.
  ['networks.*.aliases', 'update'],
  // Read by the spec room into `environment` and `labels`, or merged away; there is nothing of them in a Stack.
  ['env_file', 'ignored'],
  ['label_file', 'ignored'],
  ['extends', 'ignored'],
  ['pull_refresh_after', 'ignored'],
])

/**
 * The class of a field by its dotted path (`mem_limit`, `environment.MODE`, `deploy.resources.limits.memory`): that of
 * the longest path in the table that leads to it.
 */
export function fieldClass(path: string): FieldClass {
  let prefix = path
  while (prefix !== '') {
    const known = CLASSES.get(prefix)
    if (known) return known
    prefix = prefix.slice(0, Math.max(0, prefix.lastIndexOf('.')))
  }
  return path.startsWith('x-') && !path.startsWith('x-tsstack') ? 'ignored' : 'replace'
}

function nested(
  parent: string,
  classes: Readonly<Record<string, FieldClass>>,
): [string, FieldClass][] {
  return Object.entries(classes).map(([key, value]) => [`${parent}.${key}`, value])
}
