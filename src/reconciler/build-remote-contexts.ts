/**
 * Contexts of builds that lie elsewhere, as directories of this host while the builds run:
 *
 *   <state>/build-contexts/<random>/    one context; what an earlier process left is swept
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import type { BuildRequest } from '../api/build-types.ts'
import type { ProgressEvent } from '../api/types.ts'
import { fetchContext } from '../builder/remote-context.ts'
import { withoutLogin } from '../spec/without-login.ts'
import { parseBuildContext } from '../spec/build-context.ts'
import type { BuildDefinition } from '../spec/stack.ts'
import { TsstackError, toTsstackError } from '../errors.ts'
import { secretsOf, sshOf } from './build-secrets.ts'
import type { Context } from './context.ts'

/** By what the stack file says. */
export type FetchedContexts = ReadonlyMap<string, string>

export interface RemoteContexts {
  /** Fetches what a service's build needs; what two services need in the same way comes once. */
  readonly fetch: (service: string, build: BuildDefinition) => Promise<FetchedContexts>
  readonly close: () => Promise<void>
}

function rootOf({ directories }: Context): string {
  return path.join(path.dirname(directories.containers), 'build-contexts')
}

/** Call before the first build. */
export function sweepRemoteContexts(context: Context): void {
  rmSync(rootOf(context), { recursive: true, force: true })
}

function remoteUrls({ context, additional_contexts: named = {} }: BuildDefinition): string[] {
  const written = [...(context === undefined ? [] : [context]), ...Object.values(named)]
  return [...new Set(written)].filter((text) => parseBuildContext(text).kind === 'remote')
}

export function openRemoteContexts(
  context: Context,
  request: BuildRequest,
  {
    tell,
    signal,
    number,
  }: {
    readonly tell: (event: ProgressEvent) => void
    readonly signal: AbortSignal
    readonly number: () => number
  },
): RemoteContexts {
  const underWay = new Map<string, Promise<string>>()
  const directories: string[] = []
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])

  async function bring(service: string, build: BuildDefinition, url: string): Promise<string> {
    const root = rootOf(context)
    mkdirSync(root, { recursive: true, mode: 0o700 })
    const directory = mkdtempSync(`${root}/`)
    directories.push(directory)
    const name = withoutLogin(url)
    const about = { type: 'operation', id: number(), resource: 'image', name } as const
    tell({ ...about, action: 'Fetching', status: 'started' })
    try {
      const input = { secrets: secretsOf(request, build), ssh: sshOf(service, request, build) }
      const options = { input, reachesHost: build.network === 'host', signal: either }
      const found = await fetchContext(url, directory, options)
      tell({ ...about, action: 'Fetched', status: 'done' })
      return found
    } catch (thrown) {
      if (signal.aborted) throw new TsstackError('CANCELLED', 'Cannot build: it was cancelled')
      const { code, message, hint } = toTsstackError(thrown)
      tell({ ...about, action: 'Fetching', status: 'failed', detail: message })
      throw new TsstackError(code, `Cannot build service "${service}": ${message}`, {
        cause: thrown,
        ...(hint === undefined ? {} : { hint }),
      })
    }
  }

  return {
    async fetch(service, build) {
      const found = remoteUrls(build).map(async (url): Promise<[string, string]> => {
        const { network, ssh, secrets } = build
        const key = JSON.stringify([url, network, ssh, secrets])
        const bringing = underWay.get(key) ?? bring(service, build, url)
        underWay.set(key, bringing)
        return [url, await bringing]
      })
      return new Map(await Promise.all(found))
    },
    async close() {
      stop.abort()
      await Promise.allSettled(underWay.values())
      for (const directory of directories) await rm(directory, { recursive: true, force: true })
    },
  }
}
