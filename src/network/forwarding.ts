/** Makes the host a router for its containers, only where it is none, and takes that back. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

const IPV4_FORWARD = '/proc/sys/net/ipv4/ip_forward'
const IPV6_CONF = '/proc/sys/net/ipv6/conf'

/** A kernel setting that was changed, with what it was before. Plain JSON; the caller keeps it. */
export interface SettingChange {
  readonly path: string
  readonly previous: string
}

/**
 * Turns on forwarding where it is off (Documentation/networking/ip-sysctl.rst). For IPv6, interfaces of the host that
 * listen to router advertisements go on doing so: a router would not.
 * @returns what was changed; empty when everything was on
 * @throws the error of the write, when the setting can't be changed
 */
export function enableForwarding(options: { readonly ipv6: boolean }): SettingChange[] {
  const changes = change(IPV4_FORWARD, '0', '1')
  const ipv6Forwarding = `${IPV6_CONF}/all/forwarding`
  if (!options.ipv6 || read(ipv6Forwarding) !== '0') return changes
  for (const name of readdirSync(IPV6_CONF)) {
    if (name !== 'all') changes.push(...change(`${IPV6_CONF}/${name}/accept_ra`, '1', '2'))
  }
  return [...changes, ...change(ipv6Forwarding, '0', '1')]
}

/** Puts settings back as they were, the last change first. What is gone (an interface) is left. */
export function restoreForwarding(changes: readonly SettingChange[]): void {
  for (const { path, previous } of [...changes].reverse()) {
    if (read(path) !== undefined) writeFileSync(path, previous)
  }
}

function change(path: string, from: string, to: string): SettingChange[] {
  if (read(path) !== from) return []
  writeFileSync(path, to)
  return [{ path, previous: from }]
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined // no IPv6, or no such interface any more
  }
}
