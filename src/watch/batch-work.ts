/** What rules make of changed paths. Pure. */
import { posix } from 'node:path'
import type { SyncRequestEntry } from '../api/watch-types.ts'
import type { RuleFilter } from './rule-filter.ts'
import { isSync, type WatchRule } from './watch-rules.ts'

export interface ActiveRule {
  readonly rule: WatchRule
  readonly filter: RuleFilter
}

/** A path that goes into the containers of a service, and why. */
export interface SyncTask {
  readonly rule: WatchRule
  readonly entry: SyncRequestEntry
  /** Absolute path on the host. */
  readonly path: string
}

/** By service; parents stand before what is in them. */
export function syncTasks(
  rules: readonly ActiveRule[],
  paths: readonly string[],
): ReadonlyMap<string, readonly SyncTask[]> {
  const tasks = new Map<string, SyncTask[]>()
  for (const path of [...paths].sort()) {
    for (const { rule, filter } of rules) {
      if (!isSync(rule) || !filter.wants(path)) continue
      const list = tasks.get(rule.service) ?? []
      tasks.set(rule.service, list)
      list.push({ rule, path, entry: syncEntryOf(rule, path) })
    }
  }
  return tasks
}

function syncEntryOf({ path: root, target = '/' }: WatchRule, path: string): SyncRequestEntry {
  const below = path === root ? '' : posix.relative(root, path)
  return { root, path: below, target: posix.resolve('/', target, below) }
}

/** What is done once for a burst, each with the path that is the reason. */
export interface FollowUps {
  readonly rebuild: ReadonlyMap<string, Reason>
  readonly restart: ReadonlyMap<string, Reason>
  readonly exec: ReadonlyMap<WatchRule, Reason>
}

export interface Reason {
  readonly rule: WatchRule
  readonly path: string
}

/**
 * @param paths - of the burst
 * @param synced - rules by which something was really written or removed, each with a path
 */
export function followUps(
  rules: readonly ActiveRule[],
  paths: readonly string[],
  synced: ReadonlyMap<WatchRule, string>,
): FollowUps {
  const rebuild = new Map<string, Reason>()
  const restart = new Map<string, Reason>()
  const exec = new Map<WatchRule, Reason>()
  for (const { rule, filter } of rules) {
    const path = isSync(rule) ? synced.get(rule) : paths.find((one) => filter.wants(one))
    if (path === undefined) continue
    const reason = { rule, path }
    if (rule.action === 'rebuild') keepFirst(rebuild, rule.service, reason)
    else if (rule.action === 'sync+exec') exec.set(rule, reason)
    else if (rule.action !== 'sync') keepFirst(restart, rule.service, reason)
  }
  // A service that is built anew gets new containers: nothing is to be done with the old ones.
  for (const service of rebuild.keys()) restart.delete(service)
  for (const rule of exec.keys()) if (rebuild.has(rule.service)) exec.delete(rule)
  return { rebuild, restart, exec }
}

function keepFirst<K, V>(map: Map<K, V>, key: K, value: V): void {
  if (!map.has(key)) map.set(key, value)
}
