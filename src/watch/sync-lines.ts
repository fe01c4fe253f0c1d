/** What is said of files that were put into containers: a line for each, one for many. Pure. */
import type { SyncResponse, SyncResult } from '../api/watch-types.ts'
import type { SyncTask } from './batch-work.ts'
import { ruleName, type WatchRule } from './watch-rules.ts'

/** More than this are told in one line for each rule. */
const MAX_LINES = 10

interface Sync {
  readonly tasks: readonly SyncTask[]
  readonly response: SyncResponse
  /** From the first event to the answer. */
  readonly elapsedMs: number
  /** A path as the user writes it. */
  readonly shorten: (path: string) => string
}

/** File → rule → action → time; what was the same already is not worth a line. */
export function syncLines(sync: Sync): string[] {
  const { tasks, response } = sync
  const told = tasks.flatMap((task, index) => {
    const result = response.results[index]
    return result === undefined || result.outcome === 'unchanged' ? [] : [{ task, result }]
  })
  const replicas = response.containers.length
  const where = replicas === 1 ? '' : ` in ${String(replicas)} containers`
  if (replicas === 0 && tasks.length > 0) return [waitingLine(tasks)]
  if (told.length > MAX_LINES) return summaries(told, sync, where)
  return told.map(({ task, result }) => line(task, result, { sync, where }))
}

function waitingLine(tasks: readonly SyncTask[]): string {
  const service = tasks[0]?.rule.service ?? ''
  return `${service} does not run: ${counted(tasks.length)} will be in its containers when they start`
}

interface Told {
  readonly task: SyncTask
  readonly result: SyncResult
}

function line(
  { rule, path, entry }: SyncTask,
  { outcome, message }: SyncResult,
  { sync, where }: { readonly sync: Sync; readonly where: string },
): string {
  const from = sync.shorten(path)
  if (outcome === 'failed')
    return `${from} → ${ruleName(rule)} → cannot sync ${entry.target}: ${message ?? ''}`
  const action = outcome === 'removed' ? 'removed' : rule.action
  return `${from} → ${ruleName(rule)} → ${action} ${entry.target}${where} → ${milliseconds(sync.elapsedMs)}`
}

function summaries(told: readonly Told[], sync: Sync, where: string): string[] {
  const byRule = new Map<WatchRule, Told[]>()
  for (const one of told) byRule.set(one.task.rule, [...(byRule.get(one.task.rule) ?? []), one])
  return [...byRule].flatMap(([rule, list]) => {
    const failed = list.filter(({ result }) => result.outcome === 'failed')
    const done = list.length - failed.length
    const head = `${counted(done)} → ${ruleName(rule)} → ${rule.action} ${rule.target ?? ''}${where} → ${milliseconds(sync.elapsedMs)}`
    const [first] = failed
    if (first === undefined) return [head]
    const problem = line(first.task, first.result, { sync, where })
    return [
      head,
      failed.length === 1 ? problem : `${problem} (and ${String(failed.length - 1)} more)`,
    ]
  })
}

function counted(files: number): string {
  return files === 1 ? '1 file' : `${String(files)} files`
}

export function milliseconds(elapsedMs: number): string {
  return `${elapsedMs < 10 ? elapsedMs.toFixed(1) : elapsedMs.toFixed(0)} ms`
}
