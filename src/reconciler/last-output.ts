/** What a container wrote last: for whoever has to find out why it failed, before its log goes with it. */
import { readLog } from '../engine/logs/log-reader.ts'
import { ioOptions } from './container-streams.ts'
import type { Context } from './context.ts'

const LINES = 5
const MAX_LINE = 200

/** @returns a hint: the last lines, without control characters; undefined when there is no container or it said nothing */
export async function lastOutput(
  context: Context,
  id: string | undefined,
): Promise<string | undefined> {
  const record = id === undefined ? undefined : context.containers.get(id)
  if (record === undefined) return undefined
  const lines: string[] = []
  try {
    const { directory } = ioOptions(context, record)
    for await (const batch of readLog(directory, { tail: LINES }))
      lines.push(...batch.map(({ log }) => shown(log)))
  } catch {
    return undefined // it is only a help
  }
  if (lines.every((line) => line === '')) return undefined
  return [`${record.config.name} wrote last:`, ...lines.map((line) => `  ${line}`)].join('\n')
}

function shown(log: string): string {
  const line = log.trimEnd().replaceAll('\t', ' ')
  const text = line.replaceAll(/\p{Cc}/gu, '\ufffd')
  return text.length > MAX_LINE ? `${text.slice(0, MAX_LINE)}…` : text
}
