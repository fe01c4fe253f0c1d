/**
 * Which attributes of a service a stack file from git may have at all. The compiler wants every attribute to stand here, so
 * that a new one is nobody's to have until somebody has thought about it.
 *
 *   free      about the container's own inside, or about how it is run
 *   checked   policy-service.ts or policy-build.ts looks at what it says
 *   never     only with --allow-privileged
 */
import type { Service } from '../spec/stack.ts'
import type { Breach, ServiceCheck } from './policy-context.ts'

type Verdict = 'free' | 'checked' | 'never'

/** The names that are written out in a type, without its `x-…`. */
type Written<T> = keyof {
  [K in keyof T as string extends K ? never : K extends `x-${string}` ? never : K]: true
}

const VERDICTS: Readonly<Record<Written<Service>, Verdict>> = {
  annotations: 'free',
  attach: 'free',
  blkio_config: 'free',
  build: 'checked',
  cap_add: 'checked',
  cap_drop: 'free',
  cgroup: 'checked',
  cgroup_parent: 'checked',
  command: 'free',
  configs: 'free',
  container_name: 'checked',
  cpu_count: 'free',
  cpu_percent: 'free',
  cpu_period: 'free',
  cpu_quota: 'free',
  cpu_rt_period: 'never',
  cpu_rt_runtime: 'never',
  cpu_shares: 'free',
  cpus: 'free',
  cpuset: 'free',
  credential_spec: 'never',
  depends_on: 'free',
  deploy: 'checked',
  develop: 'free',
  device_cgroup_rules: 'checked',
  devices: 'checked',
  dns: 'free',
  dns_opt: 'free',
  dns_search: 'free',
  domainname: 'free',
  entrypoint: 'free',
  environment: 'free',
  expose: 'free',
  external_links: 'free',
  extra_hosts: 'free',
  gpus: 'checked',
  group_add: 'free',
  healthcheck: 'free',
  hostname: 'free',
  image: 'checked',
  init: 'free',
  ipc: 'checked',
  isolation: 'never',
  labels: 'free',
  links: 'free',
  logging: 'free',
  mac_address: 'free',
  mem_limit: 'free',
  mem_reservation: 'free',
  mem_swappiness: 'free',
  memswap_limit: 'free',
  models: 'never',
  network_mode: 'checked',
  networks: 'free',
  oom_kill_disable: 'checked',
  oom_score_adj: 'checked',
  pid: 'checked',
  pids_limit: 'free',
  platform: 'free',
  ports: 'checked',
  post_start: 'checked',
  pre_start: 'checked',
  pre_stop: 'checked',
  privileged: 'checked',
  profiles: 'free',
  provider: 'never',
  pull_policy: 'free',
  read_only: 'free',
  restart: 'free',
  runtime: 'checked',
  scale: 'free',
  secrets: 'free',
  security_opt: 'checked',
  shm_size: 'free',
  stdin_open: 'free',
  stop_grace_period: 'free',
  stop_signal: 'free',
  storage_opt: 'free',
  sysctls: 'free',
  tmpfs: 'free',
  tty: 'free',
  ulimits: 'checked',
  use_api_socket: 'checked',
  user: 'free',
  userns_mode: 'checked',
  uts: 'checked',
  volumes: 'checked',
  volumes_from: 'checked',
  working_dir: 'free',
}

/** Attributes that nobody has thought harmless. */
export const checkAttributes: ServiceCheck = (service, { allow }) => {
  if (allow.privileged) return []
  return Object.entries(service).flatMap(([key, value]): Breach[] => {
    // The stack file's own notes; what tsstack reads of them is checked.
    if (key.startsWith('x-') || value === undefined) return []
    const verdict = Object.hasOwn(VERDICTS, key) ? VERDICTS[key as Written<Service>] : 'never'
    if (verdict !== 'never') return []
    return [{ at: [key], what: key, option: '--allow-privileged' }]
  })
}
