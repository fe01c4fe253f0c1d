/** Canonical form of a service: one converter for each attribute whose form is not the one in which it is written. */
import { parseBuildContext } from './build-context.ts'
import { checkExtension } from './extension-checks.ts'
import {
  asArguments,
  asBytes,
  asCommand,
  asDuration,
  asEnvironment,
  asFlag,
  asNonEmptyTexts,
  asNonZero,
  asNonZeroDuration,
  asNullableTextMap,
  asNumber,
  asPath,
  asSetFlag,
  asText,
  asTextMap,
  asTexts,
  asUniqueTexts,
  asWritten,
  listOf,
  mapOf,
  pathOf,
  recordFrom,
  recordOf,
  reject,
  textsOf,
} from './canonical-fields.ts'
import type { At, Convert, Fields } from './canonical-fields.ts'
import { asDevices, asFileReferences, asHosts, asPorts, asVolumes } from './canonical-mounts.ts'
import type { FileAccess } from './load-options.ts'
import { asDependencies, asPairs } from './merge.ts'
import type { MapNode, Node } from './node.ts'
import { scalarText } from './node.ts'

type Plain = Record<string, unknown>

const asUlimits = mapOf((node, at) =>
  node.kind === 'map'
    ? recordFrom(node, { soft: asNumber, hard: asNumber }, at)
    : asNumber(node, at),
)

function contextOf(node: Node, text: string, at: At): string {
  return parseBuildContext(text).kind === 'directory' ? pathOf(node, text, at) : text
}

const asContexts: Convert = (node, at) => {
  const pairs = asPairs(node)
  if (pairs.kind !== 'map') return undefined
  const contexts: Plain = {}
  for (const [name, { value }] of pairs.entries) {
    contexts[name] = contextOf(value, value.kind === 'scalar' ? scalarText(value) : '', at)
  }
  return contexts
}

/** `default` and `id=path` as a list of `default` and `id: path`, which is how the canonical model has them. */
const asSsh: Convert = (node, at) => {
  if (node.kind === 'map') {
    return [...node.entries].map(([id, { value }]) => sshKey(id, value, at))
  }
  if (node.kind !== 'list') return undefined
  return node.items.map((item) => {
    const text = textsOf(item)[0] ?? ''
    const match = /^([^=]*?)(?:=|: )(.*)$/s.exec(text)
    if (match === null) {
      if (text === 'default' || !at.session.interpolate) return text
      return reject(item, at, `invalid ssh key "${text}"`, {
        expected: '"default" or id=path',
        suggestion: 'write default, or id=./path/to/key',
      })
    }
    return `${match[1] ?? ''}: ${pathOf(item, match[2] ?? '', at)}`
  })
}

function sshKey(id: string, value: Node, at: At): string {
  const path = textsOf(value)[0] ?? ''
  return path === '' ? id : `${id}: ${pathOf(value, path, at)}`
}

const asSetting: Convert = (node) =>
  node.kind === 'scalar' && node.value !== null ? scalarText(node) : undefined

const BUILD: Fields = {
  context: (node, at) => {
    const text = asText(node, at)
    return typeof text === 'string' ? contextOf(node, text, at) : undefined
  },
  dockerfile: asWritten,
  dockerfile_inline: asText,
  additional_contexts: asContexts,
  args: asArguments,
  ssh: asSsh,
  labels: asTextMap,
  no_cache: asFlag,
  no_cache_filter: asUniqueTexts,
  pull: asFlag,
  privileged: asFlag,
  extra_hosts: asHosts,
  isolation: asText,
  network: asText,
  target: asText,
  provenance: asSetting,
  sbom: asSetting,
  secrets: asFileReferences('', false),
  shm_size: asBytes,
  tags: asUniqueTexts,
  ulimits: asUlimits,
}

/** A build, with the project's directory as its context unless it says one. */
const asBuild: Convert = (node, at) => {
  if (node.kind === 'scalar') return { context: contextOf(node, scalarText(node) || '.', at) }
  if (node.kind !== 'map') return undefined
  const build = recordFrom(node, BUILD, at)
  return 'context' in build ? build : { ...build, context: pathOf(ownProject(node), '.', at) }
}

/** A node as of the project that it came into, wherever it was extended from. */
function ownProject(node: MapNode): MapNode {
  let { source } = node
  while (source.origin?.verb === 'extended') source = source.origin.source
  return { ...node, source }
}

const UPDATE = recordOf({
  parallelism: asNumber,
  delay: asNonZeroDuration,
  monitor: asNonZeroDuration,
  failure_action: asText,
  max_failure_ratio: asNonZero,
  order: asText,
})

const asCount: Convert = (node, at) =>
  node.kind === 'scalar' && node.value === 'all' ? -1 : asNumber(node, at)

const REQUEST: Fields = {
  capabilities: asTexts,
  count: asCount,
  device_ids: asTexts,
  driver: asText,
  options: asTextMap,
}

/** Device requests; all devices unless a count or ids are given. */
const asDeviceRequests: Convert = (node, at) =>
  listOf((item, itemAt) => {
    if (item.kind !== 'map') return undefined
    const request = recordFrom(item, REQUEST, itemAt)
    return 'count' in request || 'device_ids' in request ? request : { ...request, count: -1 }
  })(node, at)

const asGpus: Convert = (node, at) =>
  node.kind === 'scalar' ? [{ count: -1 }] : asDeviceRequests(node, at)

const DEPLOY: Fields = {
  endpoint_mode: asText,
  labels: asTextMap,
  mode: asText,
  placement: recordOf({ constraints: asTexts, max_replicas_per_node: asNonZero }),
  replicas: asNumber,
  resources: recordOf({
    limits: recordOf({ cpus: asNonZero, memory: asBytes, pids: asNonZero }),
    reservations: recordOf({ cpus: asNonZero, memory: asBytes, devices: asDeviceRequests }),
  }),
  restart_policy: recordOf({
    condition: asText,
    delay: asDuration,
    max_attempts: asNumber,
    window: asDuration,
  }),
  rollback_config: UPDATE,
  update_config: UPDATE,
}

const asDependsOn: Convert = (node, at) => {
  const map = asDependencies(node)
  if (map.kind !== 'map') return undefined
  return mapOf((item, itemAt) => {
    if (item.kind !== 'map') return undefined
    const fields = { condition: asText, required: asSetFlag, restart: asFlag }
    return { required: true, ...recordFrom(item, fields, itemAt) }
  })(map, at)
}

const NETWORK: Fields = {
  aliases: asUniqueTexts,
  driver_opts: asTextMap,
  gw_priority: asNonZero,
  interface_name: asText,
  ipv4_address: asText,
  ipv6_address: asText,
  link_local_ips: asUniqueTexts,
  mac_address: asText,
  priority: asNonZero,
}

/** A list of names, or a map, as a map of null or what is said of each. */
function asNamed(fields: Fields): Convert {
  return (node, at) => {
    if (node.kind === 'list') return Object.fromEntries(textsOf(node).map((name) => [name, null]))
    return mapOf((item, itemAt) => (item.kind === 'map' ? recordFrom(item, fields, itemAt) : null))(
      node,
      at,
    )
  }
}

const asEnvFiles: Convert = (node, at) => {
  const items = node.kind === 'list' ? node.items : [node]
  const files = new Map<string, Plain>()
  for (const item of items) {
    const file: Plain =
      item.kind === 'map'
        ? recordFrom(item, { path: asPath, required: asSetFlag, format: asText }, at)
        : { path: asPath(item, at) }
    const { path } = file
    if (typeof path === 'string') files.set(path, { required: true, ...file })
  }
  return [...files.values()]
}

const asLabelFiles: Convert = (node, at) => {
  const items = node.kind === 'list' ? node.items : [node]
  return [...new Set(items.flatMap((item) => asPath(item, at) ?? []))]
}

const HEALTHCHECK: Fields = {
  disable: asFlag,
  interval: asDuration,
  retries: asNumber,
  start_interval: asDuration,
  start_period: asDuration,
  test: (node, at) => {
    if (node.kind === 'scalar') return ['CMD-SHELL', scalarText(node)]
    const test = textsOf(node)
    if (test[0] === undefined || /^(?:NONE|CMD|CMD-SHELL)$/.test(test[0])) return test
    return reject(
      node.kind === 'list' ? (node.items[0] ?? node) : node,
      at,
      `healthcheck test must begin with NONE, CMD or CMD-SHELL, not "${test[0]}"`,
      {
        expected: 'a list that begins with NONE, CMD or CMD-SHELL, or a string',
        suggestion: `write ${JSON.stringify(['CMD', ...test])}`,
      },
    )
  },
  timeout: asDuration,
}

const HOOK: Fields = {
  command: asCommand,
  environment: asEnvironment,
  image: asText,
  per_replica: asFlag,
  privileged: asFlag,
  user: asText,
  working_dir: asText,
}
const asHooks = listOf(recordOf(HOOK))

const asRates = listOf(recordOf({ path: asText, rate: (node, at) => asBytes(node, at) ?? '0' }))

const asWatch = listOf((node, at) => {
  if (node.kind !== 'map') return undefined
  const rule = recordFrom(node, WATCH, at)
  const { path } = rule
  if (typeof path !== 'string' || !at.session.resolvePaths) return rule
  return { ...rule, path: followed(path, at.session.fs) }
})

/** The path that symbolic links lead to; the path itself where there is nothing yet. */
function followed(path: string, fs: FileAccess): string {
  try {
    return fs.realpath?.(path) ?? path
  } catch {
    return path
  }
}

const WATCH: Fields = {
  path: asPath,
  ignore: asUniqueTexts,
  include: asUniqueTexts,
  initial_sync: asFlag,
  exec: recordOf(HOOK),
  target: asText,
}

const SERVICE: Fields = {
  annotations: asTextMap,
  attach: asSetFlag,
  blkio_config: recordOf({
    weight: asNonZero,
    weight_device: listOf(recordOf({ path: asText, weight: asNumber })),
    device_read_bps: asRates,
    device_read_iops: asRates,
    device_write_bps: asRates,
    device_write_iops: asRates,
  }),
  build: asBuild,
  cap_add: asUniqueTexts,
  cap_drop: asUniqueTexts,
  cgroup: asText,
  cgroup_parent: asText,
  command: asCommand,
  configs: asFileReferences('', false),
  container_name: asText,
  cpu_count: asNonZero,
  cpu_percent: asNonZero,
  cpu_period: asNonZero,
  cpu_quota: asNonZero,
  cpu_rt_period: asNonZero,
  cpu_rt_runtime: asNonZero,
  cpu_shares: asNonZero,
  cpus: asNonZero,
  cpuset: asText,
  depends_on: asDependsOn,
  deploy: recordOf(DEPLOY),
  develop: recordOf({ watch: asWatch }),
  devices: asDevices,
  dns: asNonEmptyTexts,
  dns_opt: asUniqueTexts,
  dns_search: asUniqueTexts,
  domainname: asText,
  entrypoint: asCommand,
  env_file: asEnvFiles,
  environment: asEnvironment,
  expose: asUniqueTexts,
  external_links: asTexts,
  extra_hosts: asHosts,
  gpus: asGpus,
  group_add: asTexts,
  healthcheck: recordOf(HEALTHCHECK),
  hostname: asText,
  image: asText,
  init: asSetFlag,
  ipc: asText,
  isolation: asText,
  label_file: asLabelFiles,
  labels: asTextMap,
  links: asUniqueTexts,
  logging: recordOf({ driver: asText, options: asNullableTextMap }),
  mac_address: asText,
  mem_limit: asBytes,
  mem_reservation: asBytes,
  mem_swappiness: asBytes,
  memswap_limit: asBytes,
  models: asNamed({ endpoint_var: asText, model_var: asText }),
  network_mode: asText,
  networks: asNamed(NETWORK),
  oom_kill_disable: asFlag,
  oom_score_adj: asNonZero,
  pid: asText,
  pids_limit: asNonZero,
  platform: asText,
  ports: asPorts,
  post_start: asHooks,
  pre_start: asHooks,
  pre_stop: asHooks,
  privileged: asFlag,
  profiles: asUniqueTexts,
  provider: recordOf({ type: asText, options: mapOf(asTexts) }),
  pull_policy: asText,
  pull_refresh_after: asText,
  read_only: asFlag,
  restart: asText,
  runtime: asText,
  scale: asNumber,
  secrets: asFileReferences('/run/secrets', true),
  security_opt: asTexts,
  shm_size: asBytes,
  stdin_open: asFlag,
  stop_grace_period: asDuration,
  stop_signal: asText,
  storage_opt: asTextMap,
  sysctls: asTextMap,
  tmpfs: asUniqueTexts,
  tty: asFlag,
  ulimits: asUlimits,
  use_api_socket: asFlag,
  user: asText,
  userns_mode: asText,
  uts: asText,
  volumes: asVolumes,
  volumes_from: asTexts,
  working_dir: asText,
}

/** A service in canonical form. */
export const asService: Convert = (node, at) => {
  if (node.kind !== 'map') return undefined
  const service = recordFrom(node, SERVICE, at)
  checkExtension(node, at)
  return service
}
