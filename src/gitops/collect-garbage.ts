/** Removes checkouts and mounted content that neither a release nor a container has any more. */
import { collectContent } from './content-store.ts'
import type { GitopsEngine } from './engine.ts'
import type { Release } from './source-records.ts'

/** To be called while no pass is between its checkout and its record. */
export function collectGarbage(engine: GitopsEngine): void {
  const { context, records, checkouts, contentRoot } = engine
  const releases = records.progress
    .values()
    .flatMap(({ applied, lastGood, applying }) =>
      [applied, lastGood, applying].filter((one): one is Release => one !== undefined),
    )
  const mounted = context.containers
    .values()
    .flatMap(({ config }) => config.mounts)
    .flatMap((mount) => (mount.kind === 'bind' ? [mount.source] : []))
  // What was seen last is looked at again and again.
  const seen = records.progress.values().flatMap(({ observedCommit }) => observedCommit ?? [])
  checkouts.collect({
    paths: releases.map(({ source }) => source.workingDir),
    commits: new Set(seen),
  })
  collectContent(
    contentRoot,
    new Set([...releases.flatMap(({ directories }) => directories), ...mounted]),
    checkouts.scratch,
  )
}
