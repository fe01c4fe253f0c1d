/** Which devices a container may open: Docker's default list, and rules as the v1 devices controller reads them. */
import type { DeviceRule } from './resource-limits.ts'

/**
 * Making any node is harmless, opening it is not; then null, zero, full, random, urandom, tty, console, ptmx and
 * terminals (OCI runtime specification, config-linux.md, "Default Devices").
 */
export const DEFAULT_DEVICES: readonly DeviceRule[] = [
  { allow: true, type: 'c', access: 'm' },
  { allow: true, type: 'b', access: 'm' },
  { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' },
  { allow: true, type: 'c', major: 1, minor: 5, access: 'rwm' },
  { allow: true, type: 'c', major: 1, minor: 7, access: 'rwm' },
  { allow: true, type: 'c', major: 1, minor: 8, access: 'rwm' },
  { allow: true, type: 'c', major: 1, minor: 9, access: 'rwm' },
  { allow: true, type: 'c', major: 5, minor: 0, access: 'rwm' },
  { allow: true, type: 'c', major: 5, minor: 1, access: 'rwm' },
  { allow: true, type: 'c', major: 5, minor: 2, access: 'rwm' },
  { allow: true, type: 'c', major: 136, access: 'rwm' },
]

/** What a privileged container gets: everything. */
export const ALL_DEVICES: readonly DeviceRule[] = [{ allow: true, type: 'a', access: 'rwm' }]

/** The rule as devices.allow and devices.deny take it: `c 1:3 rwm`. */
export function formatDeviceRule(rule: DeviceRule): string {
  if (rule.type === 'a') return 'a'
  return `${rule.type} ${rule.major ?? '*'}:${rule.minor ?? '*'} ${rule.access}`
}

/** The whole list of rules for a container: the default ones, then its own; a rule for all replaces what was before it. */
export function resolveDeviceRules(own: readonly DeviceRule[] = []): readonly DeviceRule[] {
  const rules = [...DEFAULT_DEVICES, ...own]
  const all = rules.findLastIndex((rule) => rule.type === 'a')
  return all === -1 ? rules : rules.slice(all)
}
