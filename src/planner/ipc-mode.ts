/** `ipc` of a service. Pure. */
import type { Stack } from '../spec/stack.ts'
import { ownValue } from './config-hash.ts'

type Services = Stack['services']

/**
 * As written, but `shareable` for one that another service joins: Docker wants both to be written down, and leaves the other
 * one without the shared memory otherwise.
 */
export function ipcModeOf(name: string, { services }: Pick<Stack, 'services'>): string | undefined {
  const mode = ownValue(services, name)?.ipc
  const isPrivate = mode === undefined || mode === '' || mode === 'private'
  return isPrivate && joinedServices(services).has(name) ? 'shareable' : mode
}

const joined = new WeakMap<Services, ReadonlySet<string>>()

/** Looked for once: it is asked for each of thousands of services. */
function joinedServices(services: Services): ReadonlySet<string> {
  const known = joined.get(services)
  if (known !== undefined) return known
  const names = Object.values(services).flatMap(({ ipc = '' }) =>
    ipc.startsWith('service:') ? [ipc.slice('service:'.length)] : [],
  )
  const found = new Set(names)
  joined.set(services, found)
  return found
}
