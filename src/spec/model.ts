/** The canonical model while it is being completed: plain objects, not yet a `Stack`. */

export type Plain = Record<string, unknown>

export interface Model {
  name: string
  services: Record<string, Plain>
  networks: Record<string, Plain | null>
  volumes: Record<string, Plain | null>
  configs: Record<string, Plain | null>
  secrets: Record<string, Plain | null>
  models: Record<string, Plain | null>
  readonly extensions: Plain
}

export type ResourceKind = 'networks' | 'volumes' | 'configs' | 'secrets' | 'models'

/** A map within a service; empty when it is not there. */
export function mapIn(object: Plain | null | undefined, key: string): Plain {
  const value = object?.[key]
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Plain)
    : {}
}

/** A list within a service; empty when it is not there. */
export function listIn(object: Plain | null | undefined, key: string): readonly unknown[] {
  const value = object?.[key]
  return Array.isArray(value) ? value : []
}

/** The maps of a list within a service. */
export function recordsIn(object: Plain | null | undefined, key: string): readonly Plain[] {
  return listIn(object, key).filter(
    (item): item is Plain => typeof item === 'object' && item !== null,
  )
}

/** The texts of a list within a service. */
export function textsIn(object: Plain | null | undefined, key: string): readonly string[] {
  return listIn(object, key).filter((item): item is string => typeof item === 'string')
}

/** A text within a service; empty when it is not there. */
export function textIn(object: Plain | null | undefined, key: string): string {
  const value = object?.[key]
  return typeof value === 'string' ? value : ''
}

/** `service:x` -> `x`. */
export function serviceReference(text: string): string | undefined {
  return text.startsWith('service:') ? text.slice('service:'.length) : undefined
}
