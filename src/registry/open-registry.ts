/** Opens a registry: network, login, and what can be read and written. */
import { TsstackError } from '../errors.ts'
import { createCaller, type RegistryOptions } from './registry-caller.ts'
import { openNetwork } from './network.ts'
import type { Registry } from './registry.ts'
import { createReader } from './registry-reader.ts'
import { createWriter } from './registry-writer.ts'

const DOCKER_HUB = 'registry-1.docker.io'

/**
 * Makes no connection by itself.
 * @throws {INVALID_ARGUMENT} no host
 * @param registry - as in names of images: `docker.io`, `127.0.0.1:5000`
 */
export function openRegistry(registry: string, options: RegistryOptions): Registry {
  const host = registry === 'docker.io' ? DOCKER_HUB : registry
  // Nothing of a URL but its host, and that as it is written.
  if (!URL.canParse(`https://${host}`) || /[/?#@\\\s]/.test(host))
    throw new TsstackError('INVALID_ARGUMENT', `Cannot use registry "${registry}": it is no host`)
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
