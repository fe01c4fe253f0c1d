/** Canonical text and hashes of configuration: equal meaning gives equal text, whatever the order of keys. */
import { createHash } from 'node:crypto'
import type { NetworkDefinition, VolumeDefinition } from '../spec/stack.ts'

/** The value under an own key; never what `Object.prototype` has under names such as `constructor`. */
export function ownValue<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined
}

/** Orders by code units: the same on every machine, unlike a locale's order. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** JSON with sorted keys, without white space and without undefined members (RFC 8785 in spirit). */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => compareText(a, b))
      .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`)
    return `{${members.join(',')}}`
  }
  return JSON.stringify(value ?? null)
}

/** sha256 of the text's UTF-8 bytes, 64 hexadecimal digits. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/**
 * What can't be changed on an existing network. Labels are not in it: they are a record, and a change of them
 * is no reason to take a network away from running containers.
 */
function fixedParts(definition: NetworkDefinition): Readonly<Record<string, unknown>> {
  const { driver, driver_opts, ipam, internal, attachable, enable_ipv4, enable_ipv6 } = definition
  return {
    driver: driver ?? 'bridge',
    driver_opts: orAbsent(driver_opts),
    ipam: orAbsent({
      driver: ipam?.driver === 'default' ? undefined : ipam?.driver,
      config: ipam?.config?.length ? ipam.config : undefined,
      options: orAbsent(ipam?.options),
    }),
    internal: internal ?? false,
    attachable: attachable ?? false,
    enable_ipv4: enable_ipv4 ?? true,
    enable_ipv6: enable_ipv6 ?? false,
  }
}

/** Hash of what can't be changed on an existing network: all but its labels. */
export function networkConfigHash(definition: NetworkDefinition): string {
  return sha256(canonicalJson(fixedParts(definition)))
}

/** What is hashed, for a readable difference: canonical JSON text by attribute. */
export function networkFields(definition: NetworkDefinition): Record<string, string> {
  const parts = Object.entries(fixedParts(definition)).filter(([, value]) => value !== undefined)
  return Object.fromEntries(parts.map(([name, value]) => [name, canonicalJson(value)]))
}

/** Hash of what can't be changed on an existing volume: driver and its options, not labels. */
export function volumeConfigHash(definition: VolumeDefinition): string {
  const { driver, driver_opts } = definition
  return sha256(canonicalJson({ driver: driver ?? 'local', driver_opts: orAbsent(driver_opts) }))
}

/** An object without members means the same as none. */
function orAbsent(record: object | undefined): object | undefined {
  return record && Object.values(record).some((value) => value !== undefined) ? record : undefined
}
