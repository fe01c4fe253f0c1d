/** Follows the files that rules are about: syncs them at once, and does the rest when the burst is over. */
import type { FollowUps } from './batch-work.ts'
import { followUps, syncTasks, type SyncTask } from './batch-work.ts'
import type { ActiveRules } from './active-rules.ts'
import { createBatcher } from './batcher.ts'
import { openFileWatcher } from './file-watcher.ts'
import { initialPaths } from './initial-paths.ts'
import type { SyncSender } from './sync-sender.ts'
import { isSync, type WatchRule } from './watch-rules.ts'

/** Editors save several files within a few milliseconds; git takes longer, and then everybody would rather wait. */
const QUIET_MS = 20
const CAP_MS = 100

export interface RuleWatchOptions {
  readonly active: ActiveRules
  readonly sender: SyncSender
  readonly runFollowUps: (work: FollowUps) => Promise<void>
  readonly say: (line: string) => void
}

export interface RuleWatch {
  /** Safe to call twice. */
  close(): Promise<void>
}

/** Resolves when every change is followed, and the initial syncs are done. */
export async function openRuleWatch(options: RuleWatchOptions): Promise<RuleWatch> {
  const { active, sender, say } = options
  const { rules } = active
  const synced = new Map<WatchRule, string>()
  let since = performance.now()

  const flush = async (paths: readonly string[]): Promise<void> => {
    const start = since
    const sending = [...syncTasks(rules, paths)].map(async ([service, tasks]) => {
      for (const [rule, path] of await sender.send(service, tasks, start)) synced.set(rule, path)
    })
    await Promise.all(sending)
    since = performance.now()
  }
  const batcher = createBatcher({
    quietMs: QUIET_MS,
    capMs: CAP_MS,
    flush,
    settle: async (paths) => {
      const work = followUps(rules, paths, synced)
      synced.clear()
      await options.runFollowUps(work)
    },
  })
  const watcher = await openFileWatcher({
    paths: [...new Set(rules.map(({ rule }) => rule.path))],
    enters: (path) => rules.some(({ filter }) => filter.enters(path)),
    onChange: (path) => {
      if (!rules.some(({ filter }) => filter.wants(path))) return
      since = batcher.isIdle() ? performance.now() : since
      batcher.push(path)
    },
    onError: ({ message }) => {
      say(`not all files can be watched: ${message}`)
    },
  })
  await options.runFollowUps(followUps(rules, [], await syncInitially(active, sender)))
  return {
    async close() {
      await watcher.close()
      await batcher.close()
    },
  }
}

/** @returns rules by which something changed in containers that run */
async function syncInitially(
  { rules }: ActiveRules,
  sender: SyncSender,
): Promise<ReadonlyMap<WatchRule, string>> {
  const start = performance.now()
  const all = new Map<string, SyncTask[]>()
  for (const active of rules) {
    if (active.rule.initial_sync !== true || !isSync(active.rule)) continue
    for (const [service, tasks] of syncTasks([active], initialPaths(active)))
      all.set(service, [...(all.get(service) ?? []), ...tasks])
  }
  const synced = new Map<WatchRule, string>()
  for (const [service, tasks] of all)
    for (const [rule, path] of await sender.send(service, tasks, start)) synced.set(rule, path)
  return synced
}
