/** What a user may write for a service: every attribute in its short and its long syntax (compose-spec.json `service`). */
import * as z from 'zod/mini'
import {
  command,
  deviceRequests,
  extraHosts,
  fileReferences,
  flagOrText,
  genericResources,
  gpus,
  hook,
  integer,
  integerOrText,
  listOrMap,
  nothing,
  numberOrText,
  optionMap,
  preStartHook,
  resourceName,
  text,
  textList,
  textOrList,
  ulimits,
  uniqueNameList,
  uniqueTextList,
} from './schema-parts.ts'

const build = z.strictObject({
  additional_contexts: z.optional(listOrMap),
  args: z.optional(listOrMap),
  cache_from: z.optional(textList),
  cache_to: z.optional(textList),
  context: z.optional(text),
  dockerfile: z.optional(text),
  dockerfile_inline: z.optional(text),
  entitlements: z.optional(textList),
  extra_hosts: z.optional(extraHosts),
  isolation: z.optional(text),
  labels: z.optional(listOrMap),
  network: z.optional(text),
  no_cache: z.optional(flagOrText),
  no_cache_filter: z.optional(textOrList),
  platforms: z.optional(textList),
  privileged: z.optional(flagOrText),
  provenance: z.optional(flagOrText),
  pull: z.optional(flagOrText),
  sbom: z.optional(flagOrText),
  secrets: z.optional(fileReferences),
  shm_size: z.optional(integerOrText),
  ssh: z.optional(listOrMap),
  tags: z.optional(textList),
  target: z.optional(text),
  ulimits: z.optional(ulimits),
})

const blkioRates = z.array(
  z.strictObject({ path: z.optional(text), rate: z.optional(integerOrText) }),
)
const blkioConfig = z.strictObject({
  device_read_bps: z.optional(blkioRates),
  device_read_iops: z.optional(blkioRates),
  device_write_bps: z.optional(blkioRates),
  device_write_iops: z.optional(blkioRates),
  weight: z.optional(integerOrText),
  weight_device: z.optional(
    z.array(z.strictObject({ path: z.optional(text), weight: z.optional(integerOrText) })),
  ),
})

const dependency = z.strictObject({
  condition: z.enum(['service_started', 'service_healthy', 'service_completed_successfully']),
  required: z.optional(z.boolean()),
  restart: z.optional(flagOrText),
})

const updateConfig = z.strictObject({
  delay: z.optional(text),
  failure_action: z.optional(text),
  max_failure_ratio: z.optional(numberOrText),
  monitor: z.optional(text),
  order: z.optional(z.enum(['start-first', 'stop-first'])),
  parallelism: z.optional(integerOrText),
})

const deploy = z.strictObject({
  endpoint_mode: z.optional(text),
  labels: z.optional(listOrMap),
  mode: z.optional(text),
  placement: z.optional(
    z.strictObject({
      constraints: z.optional(textList),
      max_replicas_per_node: z.optional(integerOrText),
      preferences: z.optional(z.array(z.strictObject({ spread: z.optional(text) }))),
    }),
  ),
  replicas: z.optional(integerOrText),
  resources: z.optional(
    z.strictObject({
      limits: z.optional(
        z.strictObject({
          cpus: z.optional(numberOrText),
          memory: z.optional(text),
          pids: z.optional(integerOrText),
        }),
      ),
      reservations: z.optional(
        z.strictObject({
          cpus: z.optional(numberOrText),
          devices: z.optional(deviceRequests),
          generic_resources: z.optional(genericResources),
          memory: z.optional(text),
        }),
      ),
    }),
  ),
  restart_policy: z.optional(
    z.strictObject({
      condition: z.optional(text),
      delay: z.optional(text),
      max_attempts: z.optional(integerOrText),
      window: z.optional(text),
    }),
  ),
  rollback_config: z.optional(updateConfig),
  update_config: z.optional(updateConfig),
})

const develop = z.strictObject({
  watch: z.optional(
    z.array(
      z.strictObject({
        action: z.enum(['rebuild', 'sync', 'restart', 'sync+restart', 'sync+exec']),
        exec: z.optional(hook),
        ignore: z.optional(textOrList),
        include: z.optional(textOrList),
        initial_sync: z.optional(z.boolean()),
        path: text,
        target: z.optional(text),
      }),
    ),
  ),
})

const healthcheck = z.strictObject({
  disable: z.optional(flagOrText),
  interval: z.optional(text),
  retries: z.optional(numberOrText),
  start_interval: z.optional(text),
  start_period: z.optional(text),
  test: z.optional(z.union([text, textList])),
  timeout: z.optional(text),
})

const port = z.union([
  integer,
  text,
  z.strictObject({
    app_protocol: z.optional(text),
    host_ip: z.optional(text),
    mode: z.optional(text),
    name: z.optional(text),
    protocol: z.optional(text),
    published: z.optional(integerOrText),
    target: z.optional(integerOrText),
  }),
])

const volume = z.union([
  text,
  z.strictObject({
    bind: z.optional(
      z.strictObject({
        create_host_path: z.optional(flagOrText),
        propagation: z.optional(text),
        recursive: z.optional(z.enum(['enabled', 'disabled', 'writable', 'readonly'])),
        selinux: z.optional(z.enum(['z', 'Z'])),
      }),
    ),
    consistency: z.optional(text),
    image: z.optional(z.strictObject({ subpath: z.optional(text) })),
    read_only: z.optional(flagOrText),
    source: z.optional(text),
    target: z.optional(text),
    tmpfs: z.optional(
      z.strictObject({ mode: z.optional(numberOrText), size: z.optional(integerOrText) }),
    ),
    type: z.enum(['bind', 'volume', 'tmpfs', 'cluster', 'npipe', 'image']),
    volume: z.optional(
      z.strictObject({
        labels: z.optional(listOrMap),
        nocopy: z.optional(flagOrText),
        subpath: z.optional(text),
      }),
    ),
  }),
])

const networkAttachment = z.strictObject({
  aliases: z.optional(textList),
  driver_opts: z.optional(optionMap),
  gw_priority: z.optional(z.number()),
  interface_name: z.optional(text),
  ipv4_address: z.optional(text),
  ipv6_address: z.optional(text),
  link_local_ips: z.optional(textList),
  mac_address: z.optional(text),
  priority: z.optional(z.number()),
})

const modelBinding = z.strictObject({
  endpoint_var: z.optional(text),
  model_var: z.optional(text),
})

const envFile = z.strictObject({
  format: z.optional(text),
  path: text,
  required: z.optional(flagOrText),
})

const providerOption = z.union([text, z.number(), z.boolean()])

/** tsstack's own: probes that need no process in the container, who owns what it writes into bind mounts, and more. */
const tsstack = z.strictObject({
  drain: z.optional(text),
  image_policy: z.optional(
    z.strictObject({
      alphabetical: z.optional(z.enum(['asc', 'desc'])),
      digest: z.optional(z.boolean()),
      extract: z.optional(text),
      numerical: z.optional(z.enum(['asc', 'desc'])),
      pattern: z.optional(text),
      semver: z.optional(text),
    }),
  ),
  owner: z.optional(text.check(z.regex(/^(folder|\d{1,9}(:\d{1,9})?)$/))),
  probe: z.optional(
    z.strictObject({
      file: z.optional(text),
      http: z.optional(text),
      tcp: z.optional(integer.check(z.gte(1), z.lte(65_535))),
      unix: z.optional(text),
    }),
  ),
  replica: z.optional(
    z.strictObject({
      environment: z.optional(optionMap),
      hostname: z.optional(text),
      volumes: z.optional(textList),
    }),
  ),
  restart_on: z.optional(z.enum(['exit', 'unhealthy'])),
  schedule: z.optional(
    z.strictObject({
      concurrency: z.optional(z.enum(['allow', 'forbid', 'replace'])),
      cron: text,
      history: z.optional(integer.check(z.gte(0), z.lte(1000))),
      missed: z.optional(z.enum(['run', 'skip'])),
      time_zone: z.optional(text),
    }),
  ),
})

export const service = z.strictObject({
  annotations: z.optional(listOrMap),
  attach: z.optional(flagOrText),
  blkio_config: z.optional(blkioConfig),
  build: z.optional(z.union([text, build])),
  cap_add: z.optional(textList),
  cap_drop: z.optional(textList),
  cgroup: z.optional(z.enum(['host', 'private'])),
  cgroup_parent: z.optional(text),
  command: z.optional(command),
  configs: z.optional(fileReferences),
  container_name: z.optional(text.check(z.regex(/[a-zA-Z0-9][a-zA-Z0-9_.-]+/))),
  cpu_count: z.optional(z.union([integer.check(z.gte(0)), text])),
  cpu_percent: z.optional(z.union([z.number().check(z.gte(0), z.lte(100)), text])),
  cpu_period: z.optional(numberOrText),
  cpu_quota: z.optional(numberOrText),
  cpu_rt_period: z.optional(numberOrText),
  cpu_rt_runtime: z.optional(numberOrText),
  cpu_shares: z.optional(numberOrText),
  cpus: z.optional(numberOrText),
  cpuset: z.optional(text),
  credential_spec: z.optional(
    z.strictObject({
      config: z.optional(text),
      file: z.optional(text),
      registry: z.optional(text),
    }),
  ),
  depends_on: z.optional(z.union([z.record(resourceName, dependency), uniqueTextList])),
  deploy: z.optional(z.union([deploy, nothing])),
  develop: z.optional(z.union([develop, nothing])),
  device_cgroup_rules: z.optional(uniqueTextList),
  devices: z.optional(
    z.array(
      z.union([
        text,
        z.strictObject({
          permissions: z.optional(text),
          source: text,
          target: z.optional(text),
        }),
      ]),
    ),
  ),
  dns: z.optional(z.union([text, textList])),
  dns_opt: z.optional(textList),
  dns_search: z.optional(z.union([text, textList])),
  domainname: z.optional(text),
  entrypoint: z.optional(command),
  env_file: z.optional(z.union([text, z.array(z.union([text, envFile]))])),
  environment: z.optional(listOrMap),
  expose: z.optional(z.array(z.union([text, z.number()]))),
  extends: z.optional(z.union([text, z.strictObject({ file: z.optional(text), service: text })])),
  external_links: z.optional(uniqueTextList),
  extra_hosts: z.optional(extraHosts),
  gpus: z.optional(gpus),
  group_add: z.optional(uniqueNameList),
  healthcheck: z.optional(healthcheck),
  hostname: z.optional(text),
  image: z.optional(text),
  init: z.optional(flagOrText),
  ipc: z.optional(text),
  isolation: z.optional(text),
  label_file: z.optional(z.union([text, textList])),
  labels: z.optional(listOrMap),
  links: z.optional(textList),
  logging: z.optional(
    z.strictObject({
      driver: z.optional(text),
      options: z.optional(z.record(text, z.union([text, z.number(), nothing]))),
    }),
  ),
  mac_address: z.optional(text),
  mem_limit: z.optional(numberOrText),
  mem_reservation: z.optional(integerOrText),
  mem_swappiness: z.optional(integerOrText),
  memswap_limit: z.optional(numberOrText),
  models: z.optional(
    z.union([z.record(resourceName, z.union([modelBinding, nothing])), uniqueTextList]),
  ),
  network_mode: z.optional(text),
  networks: z.optional(
    z.union([z.record(resourceName, z.union([networkAttachment, nothing])), uniqueTextList]),
  ),
  oom_kill_disable: z.optional(flagOrText),
  oom_score_adj: z.optional(z.union([integer.check(z.gte(-1000), z.lte(1000)), text])),
  pid: z.optional(z.union([text, nothing])),
  pids_limit: z.optional(numberOrText),
  platform: z.optional(text),
  ports: z.optional(z.array(port)),
  post_start: z.optional(z.array(hook)),
  pre_start: z.optional(z.array(preStartHook)),
  pre_stop: z.optional(z.array(hook)),
  privileged: z.optional(flagOrText),
  profiles: z.optional(textList),
  provider: z.optional(
    z.strictObject({
      options: z.optional(z.record(text, z.union([providerOption, z.array(providerOption)]))),
      type: text,
    }),
  ),
  pull_policy: z.optional(
    text.check(
      z.regex(
        /always|never|build|if_not_present|missing|refresh|daily|weekly|every_([0-9]+[wdhms])+/,
      ),
    ),
  ),
  pull_refresh_after: z.optional(text),
  read_only: z.optional(flagOrText),
  restart: z.optional(text),
  runtime: z.optional(text),
  scale: z.optional(integerOrText),
  secrets: z.optional(fileReferences),
  security_opt: z.optional(uniqueTextList),
  shm_size: z.optional(numberOrText),
  stdin_open: z.optional(flagOrText),
  stop_grace_period: z.optional(text),
  stop_signal: z.optional(text),
  storage_opt: z.optional(z.record(text, z.unknown())),
  sysctls: z.optional(listOrMap),
  tmpfs: z.optional(z.union([text, textList])),
  tty: z.optional(flagOrText),
  ulimits: z.optional(ulimits),
  use_api_socket: z.optional(z.boolean()),
  user: z.optional(text),
  userns_mode: z.optional(text),
  uts: z.optional(text),
  volumes: z.optional(z.array(volume)),
  volumes_from: z.optional(uniqueTextList),
  working_dir: z.optional(text),
  'x-tsstack': z.optional(tsstack),
})
