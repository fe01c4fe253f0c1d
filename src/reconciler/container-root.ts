/** The files of a container as the container has them, whether it runs or not. */
import { openContainerRoot } from '../engine/exec-session.ts'
import { buildStoppedRoot, openRoot } from '../engine/root-file-system.ts'
import { placeMounts } from '../engine/stopped-root.ts'
import { FdScope } from '../kernel/fd-scope.ts'
import { toTsstackError } from '../errors.ts'
import type { Context } from './context.ts'
import { prepareSnapshot } from './container-snapshot.ts'
import { requireContainer } from './find-container.ts'
import { openSources } from './mount-sources.ts'
import { userNamespaceOf } from './stack-user-namespace.ts'

export interface OpenedRoot {
  readonly fd: number
  /** The host's id that is the container's 0. */
  readonly owner: number
  /** Safe to call twice. */
  readonly close: () => void
}

/**
 * The root of a container with all that is mounted in it. One that does not run can't be started until it is closed
 * again, and shows nothing that lives in memory.
 * @param options.withMounts - whether those of a container that does not run are needed. Default: true
 */
export async function openRootOf(
  context: Context,
  id: string,
  { withMounts = true } = {},
): Promise<OpenedRoot> {
  const scope = new FdScope()
  const running = context.live.get(id)
  if (running !== undefined) return rootOfRunning(context, id, scope)
  let release = (): void => undefined
  const until = new Promise<void>((resolve) => {
    release = resolve
  })
  return new Promise((resolve, reject) => {
    void context.locks.run(id, async () => {
      try {
        const root = context.live.has(id)
          ? rootOfRunning(context, id, scope)
          : await rootOfStopped(context, id, { withMounts, scope })
        resolve({
          ...root,
          close: () => {
            root.close()
            release()
          },
        })
        await until
      } catch (error) {
        scope.close()
        reject(toTsstackError(error))
      }
    })
  })
}

function rootOfRunning(context: Context, id: string, scope: FdScope): OpenedRoot {
  const { process } = context.live.get(id) ?? {}
  const fd = scope.add(openContainerRoot(process?.pid ?? 0))
  return {
    fd,
    owner: ownerOf(context, id),
    close: () => {
      scope.close()
    },
  }
}

async function rootOfStopped(
  context: Context,
  id: string,
  { withMounts, scope }: { readonly withMounts: boolean; readonly scope: FdScope },
): Promise<OpenedRoot> {
  const record = requireContainer(context, id)
  const { config } = record
  const owner = ownerOf(context, id)
  const userns = config.userNamespace ? userNamespaceOf(context, config.stack) : undefined
  const mount = await prepareSnapshot(context, record, owner)
  const root = openRoot(mount, userns, scope)
  if (!withMounts) {
    const close = (): void => {
      scope.close()
    }
    return { fd: root.fd, owner, close }
  }
  const close = (): void => {
    scope.close()
    context.volumeMounts.release(id)
  }
  try {
    const sources = await openSources(context, record, { root, userns, scope })
    const request = { config, root, sources, ...(userns === undefined ? {} : { userns }) }
    scope.add(await placeMounts(buildStoppedRoot(request, scope)))
  } catch (error) {
    close()
    throw error
  }
  return { fd: root.fd, owner, close }
}

function ownerOf(context: Context, id: string): number {
  const { config } = requireContainer(context, id)
  return config.userNamespace ? userNamespaceOf(context, config.stack).range.start : 0
}
