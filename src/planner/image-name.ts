/** What a service's image is called. */
import type { Stack } from '../spec/stack.ts'
import { ownValue } from './config-hash.ts'

/** `image`, or what `build` makes without one: `<project>-<service>`, as with Compose. */
export function imageNameOf(stack: Stack, name: string): string | undefined {
  const service = ownValue(stack.services, name)
  if (service?.image !== undefined) return service.image
  return service?.build === undefined ? undefined : `${stack.name}-${name}`
}
