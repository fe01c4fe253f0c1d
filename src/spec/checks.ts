/** Consistency: what the schema cannot say. Each check looks at the whole model and tells all that it finds. */
import type { Finding } from './finding.ts'
import { dependenciesOf, findCycles } from './dependencies.ts'
import type { Diagnostics } from './diagnostics.ts'
import type { Model, Plain, ResourceKind } from './model.ts'
import { mapIn, recordsIn, serviceReference, textIn, textsIn } from './model.ts'
import type { MapNode, Path } from './node.ts'
import { locate } from './node.ts'
import { SERVICE_CHECKS } from './service-checks.ts'
import { suggest } from './suggest.ts'

export interface CheckContext {
  /** Active services. */
  readonly model: Model
  /** What a request is about: others may want the same name, as long as they are not brought up together. */
  readonly about: Model
  /** All services, those of inactive profiles too. */
  readonly all: Readonly<Record<string, Plain>>
  /** As written: for places. */
  readonly root: MapNode
  readonly diagnostics: Diagnostics
}

/** Tells the diagnostics of everything that is inconsistent. */
export function checkConsistency(context: CheckContext): void {
  const { model, about, root, diagnostics } = context
  const tell = ({ path, message, expected, suggestion }: Finding): void => {
    diagnostics.error(locate(root, path), message, { path, expected, suggestion })
  }
  for (const [name, service] of Object.entries(model.services)) {
    if (diagnostics.isFull()) return
    for (const check of SERVICE_CHECKS) check(name, service).forEach(tell)
    referenceFindings(name, service, context).forEach(tell)
    dependencyFindings(name, service, context).forEach(tell)
  }
  resourceFindings(model).forEach(tell)
  containerNameFindings(about).forEach(tell)
  cycleFindings(model).forEach(tell)
  buildContextFindings(model).forEach(tell)
}

interface Reference {
  readonly kind: ResourceKind
  readonly name: string
  readonly path: Path
  readonly what?: string
}

function referencesOf(name: string, service: Plain): Reference[] {
  const at = (...path: Path): Path => ['services', name, ...path]
  const files = (key: 'configs' | 'secrets'): Reference[] =>
    recordsIn(service, key).map((file, index) => ({
      kind: key,
      name: textIn(file, 'source'),
      path: at(key, index),
    }))
  const volumes = recordsIn(service, 'volumes').flatMap((volume, index): Reference[] => {
    const source = textIn(volume, 'source')
    if (volume['type'] !== 'volume' || source === '') return []
    return [{ kind: 'volumes', name: source, path: at('volumes', index) }]
  })
  const buildSecrets = recordsIn(mapIn(service, 'build'), 'secrets').map(
    (secret, index): Reference => ({
      kind: 'secrets',
      name: textIn(secret, 'source'),
      path: at('build', 'secrets', index),
      what: 'build secret',
    }),
  )
  const named = (key: 'networks' | 'models'): Reference[] =>
    Object.keys(mapIn(service, key)).map((resource) => ({
      kind: key,
      name: resource,
      path: at(key, resource),
    }))
  return [
    ...named('networks'),
    ...volumes,
    ...files('configs'),
    ...files('secrets'),
    ...buildSecrets,
    ...named('models'),
  ]
}

function referenceFindings(name: string, service: Plain, { model }: CheckContext): Finding[] {
  return referencesOf(name, service).flatMap((reference): Finding[] => {
    const defined = model[reference.kind]
    if (Object.hasOwn(defined, reference.name)) return []
    const what = reference.what ?? reference.kind.slice(0, -1)
    const names = Object.keys(defined).filter((other) => other !== 'default')
    const near = suggest(reference.name, names)
    return [
      {
        path: reference.path,
        message: `service "${name}" refers to undefined ${what} ${reference.name}`,
        expected:
          names.length === 0 ? `a ${what} under ${reference.kind}` : `one of ${names.join(', ')}`,
        suggestion:
          near === undefined
            ? `define it: under the top-level key ${reference.kind}, write ${reference.name}:`
            : `did you mean "${near}"?`,
      },
    ]
  })
}

function dependencyFindings(name: string, service: Plain, context: CheckContext): Finding[] {
  const { model, all } = context
  const findings: Finding[] = []
  for (const { service: needed, required } of dependenciesOf(service)) {
    if (!required || Object.hasOwn(model.services, needed)) continue
    const [attribute, ...rest] = pathOfDependency(service, needed)
    const isInactive = Object.hasOwn(all, needed)
    const near = isInactive ? undefined : suggest(needed, Object.keys(model.services))
    const profiles = isInactive ? textsIn(all[needed], 'profiles').join(', ') : ''
    findings.push({
      path: ['services', name, attribute ?? 'depends_on', ...rest],
      message: `service "${name}" depends on ${isInactive ? `service ${needed}, whose profiles are not active: undefined service` : 'undefined service'} "${needed}"`,
      expected: isInactive
        ? 'a service that is active'
        : `one of ${Object.keys(model.services).join(', ')}`,
      suggestion: isInactive
        ? `activate a profile of it (${profiles}), or write required: false`
        : near === undefined
          ? `define a service ${needed}, or remove this`
          : `did you mean "${near}"?`,
    })
  }
  return findings
}

/** Where a service names another: in depends_on, or in the attribute that implies it. */
function pathOfDependency(service: Plain, needed: string): Path {
  const namespace = ['network_mode', 'ipc', 'pid', 'uts', 'cgroup'].find(
    (key) => serviceReference(textIn(service, key)) === needed,
  )
  if (namespace !== undefined) return [namespace]
  for (const key of ['links', 'volumes_from']) {
    const index = textsIn(service, key).findIndex((text) => text.split(':', 1)[0] === needed)
    if (index !== -1) return [key, index]
  }
  return ['depends_on', needed]
}

function resourceFindings(model: Model): Finding[] {
  const findings: Finding[] = []
  for (const [key, volume] of Object.entries(model.volumes)) {
    if (volume?.['external'] !== true) continue
    for (const attribute of ['driver', 'driver_opts', 'labels']) {
      if (!(attribute in volume)) continue
      findings.push({
        path: ['volumes', key, attribute],
        message: `volumes.${key}: conflicting parameters "external" and "${attribute}" specified`,
        expected: 'only a name beside external: true',
        suggestion: `remove ${attribute}, or external`,
      })
    }
  }
  for (const [key, config] of Object.entries(model.configs)) {
    findings.push(...sourceFindings('configs', key, config, ['file', 'environment', 'content']))
  }
  for (const [key, secret] of Object.entries(model.secrets)) {
    if (textIn(secret, 'driver') !== '') continue
    findings.push(...sourceFindings('secrets', key, secret, ['file', 'environment']))
  }
  return findings
}

function sourceFindings(
  kind: string,
  key: string,
  definition: Plain | null,
  sources: readonly string[],
): Finding[] {
  if (definition?.['external'] === true) return []
  const given = sources.filter((source) => definition !== null && source in definition)
  if (given.length === 1) return []
  const listed = sources.join('|')
  const message =
    given.length === 0
      ? `${kind}.${key}: one of ${listed} must be set`
      : `${kind}.${key}: ${listed} attributes are mutually exclusive`
  return [
    {
      path: [kind, key],
      message,
      expected: `exactly one of ${sources.join(', ')}, or external: true`,
      suggestion:
        given.length === 0
          ? `add ${sources[0] ?? 'file'}: …`
          : `remove all but one of ${given.join(', ')}`,
    },
  ]
}

function containerNameFindings(model: Model): Finding[] {
  const owners = new Map<string, string>()
  const findings: Finding[] = []
  for (const [name, service] of Object.entries(model.services)) {
    const container = textIn(service, 'container_name')
    if (container === '') continue
    const owner = owners.get(container)
    owners.set(container, owner ?? name)
    if (owner === undefined) continue
    findings.push({
      path: ['services', name, 'container_name'],
      message: `services.${name}: container name "${container}" is already in use by service "${owner}"`,
      expected: 'a name that no other service has',
      suggestion: 'leave container_name out: each container then gets a name of its own',
    })
  }
  return findings
}

function cycleFindings(model: Model): Finding[] {
  const graph = new Map(
    Object.entries(model.services).map(([name, service]) => [
      name,
      dependenciesOf(service).map((dependency) => dependency.service),
    ]),
  )
  return findCycles(graph).map((cycle) => {
    const [first = '', second = ''] = cycle
    const service = model.services[first]
    return {
      path: ['services', first, ...pathOfDependency(service ?? {}, second)],
      message: `dependency cycle detected: ${cycle.join(' -> ')}`,
      expected: 'services that do not wait for each other in a circle',
      suggestion: 'remove one of these dependencies',
    }
  })
}

/** Whether a build needs what another service builds, which that must then do. */
function buildContextFindings(model: Model): Finding[] {
  return Object.entries(model.services).flatMap(([name, service]) =>
    Object.entries(mapIn(mapIn(service, 'build'), 'additional_contexts')).flatMap(
      ([key, context]) => {
        const needed = typeof context === 'string' ? serviceReference(context) : undefined
        if (needed === undefined) return []
        const path = ['services', name, 'build', 'additional_contexts', key]
        const other = Object.hasOwn(model.services, needed) ? model.services[needed] : undefined
        if (other === undefined) {
          const message = `service "${name}" declares unknown service "${needed}" as additional contexts ${key}`
          const expected = `one of ${Object.keys(model.services).join(', ')}`
          return [{ path, message, expected, suggestion: `define a service ${needed}` }]
        }
        if ('build' in other) return []
        const message = `service "${name}" declares non-buildable service "${needed}" as additional contexts ${key}`
        return [
          { path, message, expected: 'a service with build', suggestion: `give ${needed} a build` },
        ]
      },
    ),
  )
}
