/** The network of build steps: made for the first that needs it, and gone with the last. */
import type { Context } from './context.ts'

const NAME = 'tsstack_build'

export interface BuildNetwork {
  /** Its name; made if it is missing. */
  readonly use: () => Promise<string>
  /** Safe to call twice. */
  readonly close: () => Promise<void>
}

/** Removes what builds of an earlier process have left. Call before the first build. */
export function sweepBuildNetwork({ networks }: Context): void {
  if (networks.documents().some(({ name }) => name === NAME)) networks.remove(NAME)
}

/** Builds that use it, in this process. */
let users = 0

export function openBuildNetwork(context: Context): BuildNetwork {
  let isUser = false
  const locked = (work: () => Promise<void>): Promise<void> =>
    context.locks.run('build network', work)
  return {
    async use() {
      await locked(async () => {
        if (isUser) return
        const isThere = context.networks.documents().some(({ name }) => name === NAME)
        if (!isThere) await context.networks.createAlone({ name: NAME })
        isUser = true
        users++
      })
      return NAME
    },
    close: () =>
      locked(() => {
        if (isUser && --users === 0) context.networks.remove(NAME)
        isUser = false
        return Promise.resolve()
      }),
  }
}
