/**
 * Completes the canonical model with what it implies: the default network, dependencies through links and shared
 * namespaces, names of resources, defaults of builds (compose-go `loader/normalize.go`).
 */
import type { Model, Plain, ResourceKind } from './model.ts'
import { mapIn, recordsIn, serviceReference, textIn, textsIn } from './model.ts'

const NAMED: readonly ResourceKind[] = ['networks', 'volumes', 'configs', 'secrets']
const NAMESPACES = ['network_mode', 'ipc', 'pid', 'uts', 'cgroup']

/** The model with what it implies written out. */
export function normalise(model: Model): Model {
  const services: Record<string, Plain> = {}
  let usesDefault = false
  for (const [name, service] of Object.entries(model.services)) {
    const complete = normaliseService(service)
    usesDefault ||= 'default' in mapIn(complete, 'networks')
    services[name] = complete
  }
  const networks =
    usesDefault && !('default' in model.networks)
      ? { ...model.networks, default: {} }
      : model.networks
  const named = { ...model, services, networks }
  for (const kind of NAMED) named[kind] = withNames(named[kind], model.name)
  return named
}

function normaliseService(service: Plain): Plain {
  const complete: Plain = { ...service }
  if (needsDefaultNetwork(service)) complete['networks'] = { default: null }
  if (textIn(service, 'pull_policy') === 'if_not_present') complete['pull_policy'] = 'missing'
  if ('build' in service) complete['build'] = normaliseBuild(mapIn(service, 'build'))
  const dependencies = { ...mapIn(service, 'depends_on'), ...impliedDependencies(service) }
  if (Object.keys(dependencies).length > 0) complete['depends_on'] = dependencies
  if ('pre_start' in service && textIn(service, 'image') !== '') {
    const image = service['image']
    complete['pre_start'] = recordsIn(service, 'pre_start').map((hook) => ({ image, ...hook }))
  }
  return complete
}

function needsDefaultNetwork(service: Plain): boolean {
  const hasNetworks = Object.keys(mapIn(service, 'networks')).length > 0
  return !hasNetworks && textIn(service, 'network_mode') === '' && !('provider' in service)
}

function normaliseBuild(build: Plain): Plain {
  const { dockerfile, ...rest } = build
  // One that is empty, as an unset variable leaves it, is no reason for the default.
  if (dockerfile === '') return rest
  const hasFile = dockerfile !== undefined || 'dockerfile_inline' in build
  return hasFile ? build : { ...build, dockerfile: 'Dockerfile' }
}

/** What a service depends on without saying so; what it says of itself stands. */
function impliedDependencies(service: Plain): Plain {
  const implied: Plain = {}
  const declared = mapIn(service, 'depends_on')
  const imply = (name: string, restart: boolean): void => {
    if (name in declared || name in implied) return
    implied[name] = {
      condition: 'service_started',
      required: true,
      ...(restart ? { restart } : {}),
    }
  }
  for (const link of textsIn(service, 'links')) imply(link.split(':', 1)[0] ?? link, true)
  for (const namespace of NAMESPACES) {
    const name = serviceReference(textIn(service, namespace))
    if (name !== undefined) imply(name, true)
  }
  for (const from of textsIn(service, 'volumes_from')) {
    if (!from.startsWith('container:')) imply(from.split(':', 1)[0] ?? from, false)
  }
  return implied
}

function withNames(
  resources: Readonly<Record<string, Plain | null>>,
  project: string,
): Record<string, Plain | null> {
  const named: Record<string, Plain | null> = {}
  for (const [key, resource] of Object.entries(resources)) {
    const isExternal = resource?.['external'] === true
    const { name, ...rest } = resource ?? {}
    if (name === '') named[key] = rest
    else named[key] = { name: name ?? (isExternal ? key : `${project}_${key}`), ...rest }
  }
  return named
}
