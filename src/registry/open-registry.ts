/** Opens a registry: network, login, and what can be read and written. */
import { createCaller, type RegistryOptions } from './registry-caller.ts'
import { openNetwork } from './network.ts'
import type { Registry } from './registry.ts'
import { createReader } from './registry-reader.ts'
import { createWriter } from './registry-writer.ts'

const DOCKER_HUB = 'registry-1.docker.io'

/**
 * Makes no connection by itself.
 * @param registry - as in names of images: `docker.io`, `127.0.0.1:5000`
 */
export function openRegistry(registry: string, options: RegistryOptions): Registry {
  const host = registry === 'docker.io' ? DOCKER_HUB : registry
  const network = openNetwork(options.settings)
  const caller = createCaller(host, network, options)
  return {
    ...createReader(caller),
    ...createWriter(caller),
    close: () => {
      network.close()
    },
  }
}
