/** `runtime`: which services an OCI runtime of the host starts, instead of the engine itself. */
import { isBelowKernelView } from '../engine/kernel-views.ts'
import { TsstackError } from '../errors.ts'
import type { Service } from '../spec/stack.ts'

/** Those whose options are known (compose-support.ts refuses others). `runc` is Docker's word for the usual one. */
const EXTERNAL: ReadonlySet<string> = new Set(['crun'])

/** @throws {INVALID_ARGUMENT} for what only the engine itself can do */
export function externalRuntimeOf(name: string, service: Service): { readonly runtime?: string } {
  const { runtime, tty, init, pid } = service
  if (runtime === undefined || !EXTERNAL.has(runtime)) return {}
  const impossible = Object.entries({ tty, init, pid }).filter(
    ([, value]) => value !== undefined && value !== false && value !== '',
  )
  const attribute = impossible[0]?.[0] ?? coveringMount(service)
  if (attribute === undefined) return { runtime }
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot start service "${name}" by ${runtime}: "${attribute}" is the engine's own`,
    { hint: `Remove "${attribute}:", or "runtime:"` },
  )
}

/** The runtime itself mounts what such a mount would cover. */
function coveringMount({ volumes = [] }: Service): string | undefined {
  const target = volumes.find(
    (volume) => volume.target === '/sys' || isBelowKernelView(volume.target),
  )?.target
  return target === undefined ? undefined : `volumes (${target})`
}
