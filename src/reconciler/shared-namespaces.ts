/** Namespaces that a container shares with the one that owns them. A pid namespace is not among them: it ends with its owner. */
import type { ContainerConfig } from '../engine/container-config.ts'
import type { Context } from './context.ts'

export interface SharedNamespace {
  /** Of /proc/PID/ns. */
  readonly file: 'net' | 'ipc' | 'uts'
  /** Id of the owner. */
  readonly container: string
}

export function sharedNamespaces({ networkMode, ipc, uts }: ContainerConfig): SharedNamespace[] {
  return Object.entries({ net: networkMode, ipc, uts }).flatMap(([file, mode]) =>
    mode.kind === 'container'
      ? [{ file: file as SharedNamespace['file'], container: mode.container }]
      : [],
  )
}

/** An owner that was started anew has other namespaces: who shared the old ones is looked at. */
export function lookAtSharers({ containers, live, loop }: Context, owner: string): void {
  for (const { id, config } of containers.values()) {
    const isSharer = sharedNamespaces(config).some(({ container }) => container === owner)
    if (isSharer && live.has(id)) loop.request(config.stack)
  }
}
