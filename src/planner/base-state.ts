/** What a plan was made from, as one digest: a saved plan is applied only while that is still so. */
import { canonicalJson, sha256 } from './config-hash.ts'
import { compareContainers } from './container-steps.ts'
import { planningOptions, type DesiredState, type UpOptions } from './desired-state.ts'
import type { ObservedContainer, ObservedState } from './observed-state.ts'

/**
 * sha256 of what is desired, with what options, and of what is observed. Health and what exists beside the stack are not
 * in it: they come and go without anybody's doing, and change at most what the plan waits for.
 */
export function baseStateDigest(
  desired: DesiredState,
  observed: ObservedState,
  options: UpOptions,
): string {
  const { stack, imageDigests, mountedImageDigests = {}, contentDigests } = desired
  return sha256(
    canonicalJson({
      desired: { stack, imageDigests, mountedImageDigests, contentDigests },
      options: settings(options),
      observed: {
        containers: [...observed.containers].sort(compareContainers).map(lasting),
        networks: byName(observed.networks),
        volumes: byName(observed.volumes),
      },
    }),
  )
}

/** What says the default is left out. */
function settings(options: UpOptions): UpOptions {
  return Object.fromEntries(
    Object.entries(planningOptions(options)).filter(([, value]) => value !== false),
  )
}

function lasting({ health, ...container }: ObservedContainer): Omit<ObservedContainer, 'health'> {
  return { ...container, networks: [...container.networks].sort() }
}

function byName<T extends { readonly name: string }>(list: readonly T[]): T[] {
  return [...list].sort((a, b) => (a.name < b.name ? -1 : 1))
}
