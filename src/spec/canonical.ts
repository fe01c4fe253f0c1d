/** The tree in canonical form: long syntaxes, `docker compose config`'s value forms, absolute paths. */
import {
  asFlag,
  asNonZero,
  asPath,
  asSetFlag,
  asText,
  asTextMap,
  asTexts,
  asWritten,
  listOf,
  mapOf,
  pathOf,
  recordFrom,
  recordOf,
} from './canonical-fields.ts'
import type { At, Convert, Fields } from './canonical-fields.ts'
import { asService } from './canonical-service.ts'
import type { MapNode, Node } from './node.ts'
import { child, formatPath, scalarText, toPlain } from './node.ts'
import type { Session } from './session.ts'

type Plain = Record<string, unknown>

/** The canonical model before it is normalised: each section there, names not yet filled in. */
export interface CanonicalModel {
  readonly name?: string
  readonly services: Readonly<Record<string, Plain>>
  readonly networks: Readonly<Record<string, Plain | null>>
  readonly volumes: Readonly<Record<string, Plain | null>>
  readonly configs: Readonly<Record<string, Plain>>
  readonly secrets: Readonly<Record<string, Plain>>
  readonly models: Readonly<Record<string, Plain>>
  readonly extensions: Plain
}

const POOL = recordOf({
  aux_addresses: asTextMap,
  gateway: asText,
  ip_range: asText,
  subnet: asText,
})

const NETWORK: Fields = {
  attachable: asFlag,
  driver: asText,
  driver_opts: asTextMap,
  enable_ipv4: asSetFlag,
  enable_ipv6: asSetFlag,
  internal: asFlag,
  ipam: recordOf({ config: listOf(POOL), driver: asText, options: asTextMap }),
  labels: asTextMap,
  name: asWritten,
}

const VOLUME: Fields = {
  driver: asText,
  driver_opts: asTextMap,
  labels: asTextMap,
  name: asWritten,
}

const FILE: Fields = {
  content: asText,
  driver: asText,
  driver_opts: asTextMap,
  environment: asText,
  file: asPath,
  labels: asTextMap,
  name: asWritten,
  template_driver: asText,
}

/** A resource that may be external: `external: {name}` becomes `external: true` and a name. */
function asResource(fields: Fields): Convert {
  return (node, at) => {
    if (node.kind !== 'map') return null
    return withExternal(node, recordFrom(node, { ...fields, external: asFlag }, at), at)
  }
}

function withExternal(node: MapNode, resource: Plain, at: At): Plain {
  const external = child(node, 'external')
  if (external?.kind !== 'map') return resource
  const { diagnostics } = at.session
  const path = formatPath(at.path)
  diagnostics.warn(
    external,
    `${path}: external.name is deprecated. Please set name and external: true`,
  )
  const inner = child(external, 'name')
  const name = inner?.kind === 'scalar' ? scalarText(inner) : undefined
  if (name !== undefined && resource['name'] !== undefined && resource['name'] !== name) {
    diagnostics.error(external, `${path}: name and external.name conflict; only use name`, {
      path: at.path,
      suggestion: 'write `external: true` and keep `name`',
    })
  }
  return { ...resource, external: true, ...(name === undefined ? {} : { name }) }
}

const asVolume: Convert = (node, at) => {
  const volume = asResource(VOLUME)(node, at) as Plain | null
  const options = child(node, 'driver_opts')
  const device = child(options, 'device')
  const isBind = textOf(child(options, 'o')) === 'bind' && textOf(child(node, 'driver')) === 'local'
  if (volume === null || device === undefined || !isBind) return volume
  const resolved = pathOf(device, textOf(device), at)
  return { ...volume, driver_opts: { ...(volume['driver_opts'] as Plain), device: resolved } }
}

function textOf(node: Node | undefined): string {
  return node?.kind === 'scalar' ? scalarText(node) : ''
}

const SECTIONS: Fields = {
  services: mapOf(asService),
  networks: mapOf(asResource(NETWORK)),
  volumes: mapOf(asVolume),
  configs: mapOf(asResource(FILE)),
  secrets: mapOf(asResource(FILE)),
  models: mapOf(
    recordOf({ context_size: asNonZero, model: asText, name: asText, runtime_flags: asTexts }),
  ),
}

/** The canonical model of a tree that the schema allows. What cannot be read goes to the diagnostics. */
export function toCanonical(root: MapNode, session: Session): CanonicalModel {
  const at: At = { session, path: [] }
  const sections: Record<string, unknown> = {}
  for (const [key, convert] of Object.entries(SECTIONS)) {
    const node = child(root, key)
    sections[key] = (node && convert(node, { session, path: [key] })) ?? {}
  }
  const extensions: Plain = {}
  for (const [key, { value }] of root.entries) {
    if (key.startsWith('x-')) extensions[key] = toPlain(value)
  }
  const name = child(root, 'name')
  return {
    ...(sections as Omit<CanonicalModel, 'name' | 'extensions'>),
    ...(name === undefined ? {} : { name: asText(name, at) as string }),
    extensions,
  }
}
