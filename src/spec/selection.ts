/** Which services are active: profiles, the services asked for, and what they depend on (compose-spec 15-profiles.md). */
import { dependenciesOf } from './dependencies.ts'
import type { Model, Plain, ResourceKind } from './model.ts'
import { mapIn, recordsIn, textIn, textsIn } from './model.ts'
import { SpecError } from './spec-error.ts'
import { suggest } from './suggest.ts'

/**
 * The model with the services of active profiles only; naming a service activates its profiles.
 * @throws {INVALID_ARGUMENT} SpecError when a named service is not there
 */
export function selectProfiles(
  model: Model,
  profiles: readonly string[],
  named: readonly string[],
): Model {
  const active = new Set(profiles)
  for (const name of named) {
    const service = Object.hasOwn(model.services, name) ? model.services[name] : undefined
    if (service === undefined) throw noSuchService(name, Object.keys(model.services))
    for (const profile of textsIn(service, 'profiles')) active.add(profile)
  }
  const isActive = (service: Plain): boolean => {
    const own = textsIn(service, 'profiles')
    return own.length === 0 || active.has('*') || own.some((profile) => active.has(profile))
  }
  return { ...model, services: keep(model.services, (_, service) => isActive(service)) }
}

function noSuchService(name: string, names: readonly string[]): SpecError {
  const near = suggest(name, names)
  return new SpecError([
    {
      message: `no such service: ${name}`,
      expected: `one of ${names.join(', ')}`,
      ...(near === undefined ? {} : { suggestion: `did you mean "${near}"?` }),
    },
  ])
}

/**
 * The model with some services and all that they depend on; all services when none is named.
 * @throws {INVALID_ARGUMENT} SpecError when one is not active
 */
export function selectServices(model: Model, named: readonly string[]): Model {
  if (named.length === 0) return model
  const selected = new Set<string>()
  const pending = [...named]
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (selected.has(name)) continue
    const service = Object.hasOwn(model.services, name) ? model.services[name] : undefined
    if (service === undefined) throw noSuchService(name, Object.keys(model.services))
    selected.add(name)
    for (const { service: next, required } of dependenciesOf(service)) {
      if (required || Object.hasOwn(model.services, next)) pending.push(next)
    }
  }
  return { ...model, services: keep(model.services, (name) => selected.has(name)) }
}

/** The model without the networks, volumes, configs, secrets and models that no service uses. */
export function withoutUnused(model: Model): Model {
  const used: Record<ResourceKind, Set<string>> = {
    networks: new Set(),
    volumes: new Set(),
    configs: new Set(),
    secrets: new Set(),
    models: new Set(),
  }
  for (const service of Object.values(model.services)) {
    for (const name of Object.keys(mapIn(service, 'networks'))) used.networks.add(name)
    for (const name of Object.keys(mapIn(service, 'models'))) used.models.add(name)
    for (const volume of recordsIn(service, 'volumes')) {
      if (volume['type'] === 'volume') used.volumes.add(textIn(volume, 'source'))
    }
    for (const config of recordsIn(service, 'configs')) used.configs.add(textIn(config, 'source'))
    const build = recordsIn(mapIn(service, 'build'), 'secrets')
    for (const secret of [...recordsIn(service, 'secrets'), ...build]) {
      used.secrets.add(textIn(secret, 'source'))
    }
    const config = textIn(mapIn(service, 'credential_spec'), 'config')
    if (config !== '') used.configs.add(config)
  }
  const kept = { ...model }
  for (const kind of Object.keys(used) as ResourceKind[]) {
    kept[kind] = keep(model[kind], (name) => used[kind].has(name))
  }
  return kept
}

function keep<T>(
  map: Readonly<Record<string, T>>,
  isKept: (name: string, value: T) => boolean,
): Record<string, T> {
  return Object.fromEntries(Object.entries(map).filter(([name, value]) => isKept(name, value)))
}
