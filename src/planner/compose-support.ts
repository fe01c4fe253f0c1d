/**
 * Every attribute of the Compose Specification: whether tsstack carries it out. The one table behind three things: what
 * `up` refuses and warns of (compose-findings.ts), docs/compose-support.md (scripts/write-support.ts), and the test that holds it
 * against the schema. What is done on a running container is said by field-classes.ts.
 *
 * A path that is not in the table has the support of the path that leads to it. `*` is any key, `[]` any item.
 */

import { BRIDGE_OPTION, MACVLAN_OPTION } from './network-options.ts'

export type Support =
  /** Carried out. */
  | { readonly status: 'done'; readonly note?: string }
  /** Carried out where the host can; where it can't, `up` says so. */
  | { readonly status: 'host'; readonly note: string }
  /** Accepted, without an effect; `up` says so where somebody could miss one. */
  | {
      readonly status: 'noted'
      readonly note: string
      readonly quiet?: true
      readonly when?: Condition
    }
  /** Refused by `up` before anything is made. */
  | {
      readonly status: 'refused'
      readonly note: string
      readonly hint: string
      readonly when?: Condition
    }

/** Whether a value is what the note is about. Default: any value but null and false. */
export type Condition = (value: unknown, host: HostPlatform) => boolean

export interface HostPlatform {
  /** As Compose writes it: `linux/amd64`. */
  readonly platform: string
}

const DONE: Support = { status: 'done' }
const done = (note: string): Support => ({ status: 'done', note })
const host = (note: string): Support => ({ status: 'host', note })
const silent = (note: string): Support => ({ status: 'noted', note, quiet: true })
const noted = (note: string, when?: Condition): Support => ({
  status: 'noted',
  note,
  ...(when === undefined ? {} : { when }),
})
const refused = (note: string, hint: string, when?: Condition): Support => ({
  status: 'refused',
  note,
  hint,
  ...(when === undefined ? {} : { when }),
})
const other =
  (...known: readonly string[]): Condition =>
  (value) =>
    typeof value === 'string' && value !== '' && !known.includes(value)

const WINDOWS = 'for Windows containers'
const FILES =
  'files up to 1 MiB, read by `up`; `uid`, `gid` and `mode` as they say, 0444 without: Docker Compose shows the file as it is'
/** Of `logging.options`. */
export const LOG_OPTIONS: readonly string[] = ['max-size', 'max-file']
/** Drivers whose options those are. */
export const LOG_DRIVERS: readonly string[] = ['json-file', 'local', 'none']

/** Attributes of a service, without `services.*.`. */
const SERVICE: Readonly<Record<string, Support>> = {
  annotations: done('kept with the container'),
  attach: DONE,
  blkio_config: host('the io or blkio controller, and a device that can be throttled'),
  build: done(
    'on this host, for its platform; caches of the types `registry`, `inline` and `local`; `provenance` and `sbom` are not made',
  ),
  cap_add: DONE,
  cap_drop: DONE,
  cgroup: DONE,
  cgroup_parent: refused(
    'containers live below the control group of the engine, so that none is left behind',
    'Remove it; the engine as a whole is placed by TSSTACK_CGROUP_PARENT',
  ),
  command: DONE,
  configs: done(FILES),
  container_name: DONE,
  cpu_count: noted(WINDOWS),
  cpu_percent: noted(WINDOWS),
  cpu_period: DONE,
  cpu_quota: DONE,
  cpu_rt_period: host('a kernel with real-time group scheduling (control groups v1)'),
  cpu_rt_runtime: host('a kernel with real-time group scheduling (control groups v1)'),
  cpu_shares: DONE,
  cpus: DONE,
  cpuset: host('the cpuset controller'),
  credential_spec: refused(`credential specs are ${WINDOWS}`, 'Remove it'),
  depends_on: DONE,
  deploy: DONE,
  'deploy.endpoint_mode': done(
    'names resolve to all replicas (dnsrr), with vip too: there is no virtual address in between',
  ),
  'deploy.labels': silent('labels of the service, which no container carries'),
  'deploy.mode': refused(
    'jobs are not run by `up` yet',
    'Write a service with `restart: "no"`, and wait for service_completed_successfully',
    other('replicated', 'global'),
  ),
  'deploy.placement': noted('there is one host to be placed on'),
  'deploy.replicas': DONE,
  'deploy.resources': DONE,
  'deploy.resources.limits.pids': DONE,
  'deploy.resources.reservations.cpus': silent('a share to schedule by; there is one host'),
  'deploy.resources.reservations.devices': host('devices that the host describes in /etc/cdi'),
  'deploy.resources.reservations.generic_resources': noted(
    'there is one host to be scheduled on',
    isNotEmpty,
  ),
  'deploy.restart_policy': done(
    'max_attempts with any condition, and counted anew after a run of `window`',
  ),
  'deploy.rollback_config': done('without it the way back is as the way forward'),
  'deploy.update_config': done(
    'without it all containers are replaced at once, the old ones stopped first',
  ),
  develop: done('by `watch` and `up --watch`'),
  device_cgroup_rules: DONE,
  devices: DONE,
  dns: DONE,
  dns_opt: DONE,
  dns_search: DONE,
  domainname: DONE,
  entrypoint: done('an empty one leaves the command of the image'),
  env_file: DONE,
  environment: DONE,
  expose: done('documentation: containers of a network reach each other without it'),
  extends: DONE,
  external_links: done('to containers on a network of the service'),
  extra_hosts: DONE,
  gpus: host('graphics processors that the host describes in /etc/cdi'),
  group_add: DONE,
  healthcheck: DONE,
  hostname: DONE,
  image: DONE,
  init: DONE,
  ipc: done('with its /dev/shm; a service that another one joins is shareable without saying so'),
  isolation: refused(`isolation is ${WINDOWS}`, 'Remove it', other('default')),
  label_file: DONE,
  labels: DONE,
  links: DONE,
  logging: DONE,
  'logging.driver': noted(
    'json-file, local and none are carried out; with all others the log is kept here, and `tsstack logs` reads it',
    other(...LOG_DRIVERS),
  ),
  'logging.options': done(LOG_OPTIONS.join(' and ')),
  mac_address: done('of the network that is connected first'),
  mem_limit: DONE,
  mem_reservation: DONE,
  mem_swappiness: host('control groups v1'),
  memswap_limit: host('swap accounting'),
  models: refused(
    'no model runner comes with tsstack',
    'Run the model as a service of its own',
    isNotEmpty,
  ),
  network_mode: done('`bridge`: a network of the stack, with names; or a network that is there'),
  networks: DONE,
  'networks.*.driver_opts': noted('endpoints have no options', isNotEmpty),
  oom_kill_disable: host('control groups v1'),
  oom_score_adj: host('values below that of the daemon need CAP_SYS_RESOURCE'),
  pid: DONE,
  pids_limit: DONE,
  platform: refused(
    'programs for another platform do not run here',
    'Remove it, or write the platform of this host',
    (value, { platform }) => !isRunnable(String(value), platform),
  ),
  ports: done(
    'replicas that are healthy share a single published port; of a range each has one of its own; none with the network of the host, or with none',
  ),
  'ports[].app_protocol': silent('documentation'),
  'ports[].mode': silent('there is one host: both modes are the same'),
  'ports[].name': silent('documentation'),
  post_start: done('run at each start by request; kept with the container'),
  pre_start: done(
    'kept with the container; run once for a definition; has the environment of the service, and its user where it has its image',
  ),
  pre_stop: done(
    'run within the grace period; kept with the container; where one fails, so does `down`, and the container stays, stopped',
  ),
  privileged: DONE,
  profiles: DONE,
  provider: refused(
    'providers are programs of Docker Compose',
    'Start what it provides as a service',
  ),
  pull_policy: done(
    'for images from registries; `build` as `missing`. `host:` and archives are looked at anew by each `up`',
  ),
  pull_refresh_after: done('with `pull_policy: refresh`, or alone'),
  read_only: DONE,
  restart: DONE,
  runtime: refused(
    'there is no such runtime: beside the engine itself only crun is known',
    'Remove it, or write crun (apt-get install crun)',
    other('runc', 'io.containerd.runc.v2', 'crun'),
  ),
  scale: DONE,
  secrets: done(FILES),
  security_opt: done(
    'no-new-privileges, seccomp, systempaths; label is accepted, AppArmor profiles are not applied',
  ),
  shm_size: DONE,
  stdin_open: DONE,
  stop_grace_period: DONE,
  stop_signal: DONE,
  storage_opt: host('`size` alone, by loop devices, mkfs.ext4 and the storage driver overlay'),
  sysctls: host('those that the kernel keeps for each namespace; others are an error'),
  tmpfs: DONE,
  tty: DONE,
  ulimits: host(
    'hard limits above those of the daemon need CAP_SYS_RESOURCE, and are an error without',
  ),
  use_api_socket: refused(
    'the engine is not offered to containers',
    'Mount its socket, if it must be',
  ),
  user: done('ids up to 65535, with `userns_mode: host` all'),
  userns_mode: refused(
    'there is one user namespace for each stack',
    'Write host, or remove it',
    other('host'),
  ),
  uts: DONE,
  volumes: done('at and below /sys and /dev, too, and in the place of what Docker allows of /proc'),
  'volumes[].bind.selinux': silent('labels have no effect without SELinux'),
  'volumes[].consistency': silent('host and container share one file system'),
  'volumes[].type': refused(
    'mounts of this type are not supported',
    'Use bind, volume, tmpfs or image',
    other('bind', 'volume', 'tmpfs', 'image'),
  ),
  volumes_from: DONE,
  working_dir: DONE,
  'x-tsstack': done('additions of tsstack (docs/additions.md)'),
}

const EXTERNAL_FILE = 'tsstack has no store for them'

const TOP: Readonly<Record<string, Support>> = {
  version: silent('obsolete; the loader says so'),
  name: DONE,
  include: DONE,
  services: DONE,
  networks: DONE,
  'networks.*.attachable': silent('every network can be attached to'),
  'networks.*.driver': refused(
    'there is no such network driver',
    'Use bridge, macvlan, host or none',
    other('bridge', 'default', 'macvlan', 'host', 'none'),
  ),
  'networks.*.driver_opts': done(
    `${Object.values(BRIDGE_OPTION).join(', ')}; of macvlan: ${Object.values(MACVLAN_OPTION).join(', ')}`,
  ),
  'networks.*.ipam.driver': refused(
    'there is no such address management',
    'Remove it',
    other('default'),
  ),
  'networks.*.ipam.options': noted('address management has no options', isNotEmpty),
  volumes: DONE,
  'volumes.*.driver': refused('there is no such volume driver', 'Use local', other('local')),
  'volumes.*.driver_opts': done('type, o and device of the local driver: bind, tmpfs, nfs, cifs'),
  configs: DONE,
  'configs.*.external': refused(EXTERNAL_FILE, 'Write file:, content: or environment:'),
  'configs.*.template_driver': refused('configs are not templates', 'Remove it'),
  secrets: DONE,
  'secrets.*.driver': refused('there are no drivers of secrets', 'Write file: or environment:'),
  'secrets.*.driver_opts': silent('refused with the driver'),
  'secrets.*.external': refused(EXTERNAL_FILE, 'Write file: or environment:'),
  'secrets.*.template_driver': refused('secrets are not templates', 'Remove it'),
  models: silent('refused where a service uses one'),
  'x-tsstack': done('additions of tsstack (docs/additions.md)'),
}

/** By path from the top: `services.*.deploy.mode`. */
export const COMPOSE_SUPPORT: Readonly<Record<string, Support>> = {
  ...TOP,
  ...Object.fromEntries(
    Object.entries(SERVICE).map(([path, support]) => [`services.*.${path}`, support]),
  ),
}

/** The support of a path: its own, or that of the longest path in the table that leads to it. */
export function supportOf(path: string): Support | undefined {
  for (let prefix = path; prefix !== ''; prefix = parentOf(prefix)) {
    const known = COMPOSE_SUPPORT[prefix]
    if (known !== undefined) return known
  }
  return undefined
}

function parentOf(path: string): string {
  if (path.endsWith('[]')) return path.slice(0, -2)
  return path.slice(0, Math.max(0, path.lastIndexOf('.')))
}

function isNotEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0
}

/** A 64-bit x86 host also runs 32-bit programs. An architecture may stand alone, and be called as uname does. */
function isRunnable(wanted: string, platform: string): boolean {
  const names = wanted
    .toLowerCase()
    .replace(/x86[_-]64/, 'amd64')
    .replace('aarch64', 'arm64')
  const [hostSystem = '', hostMachine = ''] = platform.split('/')
  const [system = '', machine = ''] = names === hostMachine ? [hostSystem, names] : names.split('/')
  if (system !== hostSystem) return false
  return machine === '' || machine === hostMachine || (hostMachine === 'amd64' && machine === '386')
}
