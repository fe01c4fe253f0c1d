/** Removes checkouts and mounted content that neither a release nor a container has any more. */
import { collectContent } from './content-store.ts'
import type { GitopsEngine } from './engine.ts'
import type { Release } from './source-records.ts'

/** Longer than a commit takes from its loading (load-apart.ts) to its record. */
const LOADING_MS = 600_000

/**
 * @param busy - sources that may be between a checkout and its record: nothing of theirs goes, and what may be theirs stays. They
 *   do not keep the others' things, or a few that are never at rest would fill the disk.
 */
export function collectGarbage(engine: GitopsEngine, busy: ReadonlySet<string>): void {
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
    sources: busy,
  })
  collectContent(
    contentRoot,
    new Set([...releases.flatMap(({ directories }) => directories), ...mounted]),
    { aside: checkouts.scratch, youngMs: busy.size === 0 ? 0 : LOADING_MS },
  )
}
