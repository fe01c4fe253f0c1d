/** Consistency within one service (compose-go `loader/validate.go`, `validation/`). */
import type { Finding } from './finding.ts'
import type { Plain } from './model.ts'
import { listIn, mapIn, recordsIn, textIn, textsIn } from './model.ts'
import type { Path } from './node.ts'
import { checkReplica } from './replica-text.ts'
import { parseTmpfs } from './tmpfs.ts'
import { VALUE_CHECKS } from './value-checks.ts'

type ServiceCheck = (name: string, service: Plain) => readonly Finding[]

const at = (name: string, ...path: Path): Path => ['services', name, ...path]

const checkImage: ServiceCheck = (name, service) => {
  if (textIn(service, 'image') !== '' || 'build' in service || 'provider' in service) return []
  return [
    {
      path: at(name),
      message: `service "${name}" has neither an image nor a build context specified`,
      expected: 'image, build or provider',
      suggestion: `add an image, such as image: host:sh,coreutils`,
    },
  ]
}

const checkBuild: ServiceCheck = (name, service) => {
  const build = mapIn(service, 'build')
  const findings: Finding[] = []
  if (textIn(build, 'dockerfile') !== '' && textIn(build, 'dockerfile_inline') !== '') {
    findings.push({
      path: at(name, 'build', 'dockerfile_inline'),
      message: `service "${name}" declares mutually exclusive dockerfile and dockerfile_inline`,
      expected: 'one of the two',
      suggestion: 'remove dockerfile, or dockerfile_inline',
    })
  }
  const platforms = textsIn(build, 'platforms')
  const platform = textIn(service, 'platform')
  if (platform !== '' && platforms.length > 0 && !platforms.includes(platform)) {
    findings.push({
      path: at(name, 'platform'),
      message: `service "${name}": build.platforms must include service.platform "${platform}"`,
      expected: `one of ${platforms.join(', ')}`,
      suggestion: `add ${platform} to build.platforms`,
    })
  }
  return findings
}

const checkNetworkMode: ServiceCheck = (name, service) => {
  const hasNetworks = Object.keys(mapIn(service, 'networks')).length > 0
  if (textIn(service, 'network_mode') === '' || !hasNetworks) return []
  return [
    {
      path: at(name, 'network_mode'),
      message: `service ${name} declares mutually exclusive \`network_mode\` and \`networks\``,
      expected: 'one of the two',
      suggestion: 'remove network_mode, or remove networks',
    },
  ]
}

const checkScale: ServiceCheck = (name, service) => {
  const { scale } = service
  const { replicas } = mapIn(service, 'deploy')
  const findings: Finding[] = []
  for (const [key, value] of [
    ['scale', scale],
    ['deploy', replicas],
  ] as const) {
    if (typeof value !== 'number' || value >= 0) continue
    const path = key === 'scale' ? at(name, 'scale') : at(name, 'deploy', 'replicas')
    const message = `${path.join('.')}: must be greater than or equal to 0`
    findings.push({ path, message, expected: '0 or more', suggestion: 'write 0 to run none' })
  }
  if (typeof scale === 'number' && typeof replicas === 'number' && scale !== replicas) {
    findings.push({
      path: at(name, 'scale'),
      message: `services.${name}: can't set distinct values on 'scale' (${String(scale)}) and 'deploy.replicas' (${String(replicas)})`,
      expected: 'the same number, or one of the two',
      suggestion: 'remove scale: deploy.replicas says the same',
    })
  }
  const count = Math.max(Number(scale ?? 1), Number(replicas ?? 1))
  if (textIn(service, 'container_name') !== '' && count > 1) {
    findings.push({
      path: at(name, 'container_name'),
      message: `services.${name}: can't set container_name and ${scale === undefined ? 'deploy.replicas' : 'scale'} of ${String(count)}: container name must be unique`,
      expected: 'no container_name where there are several containers',
      suggestion: 'remove container_name',
    })
  }
  return findings
}

const LIMITS = [
  ['cpus', 'limits', 'cpus'],
  ['mem_limit', 'limits', 'memory'],
  ['mem_reservation', 'reservations', 'memory'],
  ['pids_limit', 'limits', 'pids'],
] as const

const checkLimits: ServiceCheck = (name, service) => {
  const resources = mapIn(mapIn(service, 'deploy'), 'resources')
  return LIMITS.flatMap(([attribute, section, field]): Finding[] => {
    const own = service[attribute]
    const limits = resources[section] as Plain | undefined
    if (own === undefined || limits === undefined) return []
    if (Number(own) === Number(limits[field] ?? 0)) return []
    return [
      {
        path: at(name, attribute),
        message: `services.${name}: can't set distinct values on '${attribute}' and 'deploy.resources.${section}.${field}'`,
        expected: 'the same value, or one of the two',
        suggestion: `remove ${attribute}`,
      },
    ]
  })
}

const checkMounts: ServiceCheck = (name, service) => {
  const targets = new Map<string, string>()
  const mounts: (readonly [string, Path])[] = [
    ...textsIn(service, 'tmpfs').map(
      (text, index) => [tmpfsTarget(text), at(name, 'tmpfs', index)] as const,
    ),
    ...recordsIn(service, 'volumes').map(
      (volume, index) => [textIn(volume, 'target'), at(name, 'volumes', index)] as const,
    ),
  ]
  return mounts.flatMap(([target, path]): Finding[] => {
    const shown = `${path.slice(0, -1).join('.')}[${String(path.at(-1))}]`
    const owner = targets.get(target)
    targets.set(target, owner ?? shown)
    if (owner === undefined) return []
    return [
      {
        path,
        message: `${shown}: target ${target} already mounted as ${owner}`,
        expected: 'one mount for each target',
        suggestion: 'remove one of the two mounts',
      },
    ]
  })
}

function tmpfsTarget(text: string): string {
  const mount = parseTmpfs(text)
  return typeof mount === 'string' ? text : mount.target
}

const checkDevices: ServiceCheck = (name, service) => {
  const reservations = mapIn(mapIn(mapIn(service, 'deploy'), 'resources'), 'reservations')
  const lists: (readonly [readonly Plain[], Path])[] = [
    [recordsIn(service, 'gpus'), at(name, 'gpus')],
    [
      recordsIn(reservations, 'devices'),
      at(name, 'deploy', 'resources', 'reservations', 'devices'),
    ],
  ]
  return lists.flatMap(([requests, path]) =>
    requests.flatMap((request, index): Finding[] => {
      if (!('count' in request) || listIn(request, 'device_ids').length === 0) return []
      return [
        {
          path: [...path, index],
          message: `services.${name}: "count" and "device_ids" attributes are exclusive`,
          expected: 'one of the two',
          suggestion: 'remove count, or device_ids',
        },
      ]
    }),
  )
}

const checkWatch: ServiceCheck = (name, service) =>
  recordsIn(mapIn(service, 'develop'), 'watch').flatMap((rule, index): Finding[] => {
    const action = textIn(rule, 'action')
    const path = at(name, 'develop', 'watch', index)
    const findings: Finding[] = []
    if (action.startsWith('sync') && textIn(rule, 'target') === '') {
      const message = `services.${name}.develop.watch: target is required for ${action} action`
      findings.push({
        path,
        message,
        expected: 'target: a path in the container',
        suggestion: 'add target: /path',
      })
    }
    if (action === 'sync+exec' && listIn(mapIn(rule, 'exec'), 'command').length === 0) {
      const message = `services.${name}.develop.watch: exec.command is required for ${action} action`
      findings.push({
        path,
        message,
        expected: 'exec with a command',
        suggestion: 'add exec: {command: …}',
      })
    }
    return findings
  })

export const SERVICE_CHECKS: readonly ServiceCheck[] = [
  checkImage,
  checkBuild,
  checkNetworkMode,
  checkScale,
  checkLimits,
  checkMounts,
  checkDevices,
  checkReplica,
  checkWatch,
  ...VALUE_CHECKS,
]
