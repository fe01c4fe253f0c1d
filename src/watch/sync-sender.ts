/**
 * Sends changed paths to the daemon, and remembers which: a daemon that comes back after a crash knows nothing of them any
 * more, so they are sent again.
 */
import type { SyncRequestEntry } from '../api/watch-types.ts'
import type { Client } from '../client/client.ts'
import { toTsstackError } from '../errors.ts'
import type { SyncTask } from './batch-work.ts'
import { syncLines } from './sync-lines.ts'
import type { WatchRule } from './watch-rules.ts'

export interface SyncSender {
  /** Brings tasks of a service about. @returns rules by which something changed, each with the first such path */
  send(
    service: string,
    tasks: readonly SyncTask[],
    since: number,
  ): Promise<ReadonlyMap<WatchRule, string>>
  /** Sends all of it again. */
  sendAgain(): Promise<void>
  /** Forgets what was sent by rules that are no more. */
  keepOnly(rules: readonly WatchRule[]): void
}

interface SyncSenderOptions {
  readonly client: Pick<Client, 'syncFiles'>
  readonly stack: string
  readonly say: (line: string) => void
  readonly shorten: (path: string) => string
}

/** What one request carries at most. */
const MAX_ENTRIES = 50_000

export function createSyncSender({ client, stack, say, shorten }: SyncSenderOptions): SyncSender {
  /** By service, by target. */
  const sent = new Map<string, Map<string, SyncRequestEntry>>()

  const remember = (service: string, entries: readonly SyncRequestEntry[]): void => {
    const known = sent.get(service) ?? new Map<string, SyncRequestEntry>()
    sent.set(service, known)
    for (const entry of entries) known.set(entry.target, entry)
  }

  const sendSome = async (
    service: string,
    tasks: readonly SyncTask[],
    since: number,
  ): Promise<Map<WatchRule, string>> => {
    const entries = tasks.map(({ entry }) => entry)
    remember(service, entries)
    const changed = new Map<WatchRule, string>()
    try {
      const response = await client.syncFiles(stack, { service, entries })
      const elapsedMs = performance.now() - since
      for (const line of syncLines({ tasks, response, elapsedMs, shorten })) say(line)
      for (const [index, { rule, path }] of tasks.entries()) {
        const outcome = response.results[index]?.outcome
        if ((outcome === 'written' || outcome === 'removed') && !changed.has(rule))
          changed.set(rule, path)
      }
    } catch (error) {
      say(`cannot sync to ${service}: ${toTsstackError(error).message}`)
    }
    return changed
  }

  return {
    async send(service, tasks, since) {
      const changed = new Map<WatchRule, string>()
      for (let start = 0; start < tasks.length; start += MAX_ENTRIES) {
        const some = await sendSome(service, tasks.slice(start, start + MAX_ENTRIES), since)
        for (const [rule, path] of some) changed.set(rule, path)
      }
      return changed
    },
    async sendAgain() {
      for (const [service, entries] of sent) {
        try {
          await client.syncFiles(stack, { service, entries: [...entries.values()] })
        } catch (error) {
          say(`cannot sync to ${service}: ${toTsstackError(error).message}`)
        }
      }
    },
    keepOnly(rules) {
      for (const [service, entries] of sent) {
        const roots = new Set(
          rules.filter((rule) => rule.service === service).map(({ path }) => path),
        )
        for (const [target, { root }] of entries) if (!roots.has(root)) entries.delete(target)
      }
    },
  }
}
