/**
 * Anonymous volumes of a container that is gone and whose successor has not been made: the making may fail, or the daemon
 * be killed, and whoever makes it then takes them over as well.
 *
 *   collection "estate"   <stack>/<service>/<number>   names of volumes by target
 */
import type { ContainerConfig } from '../engine/container-config.ts'
import type { StateStore } from '../state/state-store.ts'

type Replica = Pick<ContainerConfig, 'stack' | 'service' | 'number'>
type Volumes = Readonly<Record<string, string>>

export interface Estates {
  /** Before the container is removed. */
  leave(replica: Replica, volumes: Volumes): void
  of(replica: Replica): Volumes | undefined
  /** They have an owner again. */
  settle(replica: Replica): void
  /** Nobody is going to take over what the services of a stack have left. */
  forget(stack: string, isGone: (service: string) => boolean): void
}

export function openEstates(state: StateStore): Estates {
  const estates = state.collection<Volumes>('estate', { ofFacts: true })
  return {
    leave(replica, volumes) {
      if (Object.keys(volumes).length > 0) estates.put(keyOf(replica), volumes)
    },
    of: (replica) => estates.get(keyOf(replica)),
    settle(replica) {
      estates.delete(keyOf(replica))
    },
    forget(stack, isGone) {
      for (const [key] of estates.entries()) {
        const [owner, service = ''] = key.split('/')
        if (owner === stack && isGone(service)) estates.delete(key)
      }
    },
  }
}

function keyOf({ stack, service, number }: Replica): string {
  return `${stack}/${service}/${String(number)}`
}
