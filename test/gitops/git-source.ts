/** Sources for tests: everything at its quickest, nothing allowed. */
import type { GitSource, GitSourceStatus, Permissions } from '../../src/api/gitops-types.ts'
import type { DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

export const NOTHING_ALLOWED: Permissions = {
  privileged: false,
  hostNamespaces: false,
  hostPaths: [],
  capabilities: [],
  devices: [],
  external: [],
}

const PASS_MS = 30_000

export function gitSource(repo: string, parts: Partial<GitSource> = {}): GitSource {
  return {
    name: 'shop',
    repo,
    path: '',
    stack: 'shop',
    intervalSeconds: 3600,
    fetchTimeoutSeconds: 30,
    healthTimeoutSeconds: 20,
    monitorSeconds: 0.4,
    prune: false,
    allowEmpty: false,
    envFiles: [],
    profiles: [],
    dependsOn: [],
    approve: 'auto',
    windows: [],
    freezes: [],
    verifyKeys: [],
    allow: NOTHING_ALLOWED,
    notify: [],
    ...parts,
  }
}

/** Waits until a source is as wanted. */
export function untilSource(
  { client }: DaemonFixture,
  what: string,
  isWanted: (status: GitSourceStatus) => boolean,
): Promise<GitSourceStatus> {
  return eventually(
    `a source that is ${what}`,
    async () => {
      const status = await client.gitSource('shop')
      return isWanted(status) && status
    },
    PASS_MS,
  )
}
