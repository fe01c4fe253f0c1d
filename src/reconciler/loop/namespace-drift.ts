/**
 * Containers that share a namespace which its owner has no more: that was started anew by its restart policy, and has another
 * one. Who is in the old network reaches nobody.
 */
import { readlinkSync } from 'node:fs'
import type { Context } from '../context.ts'
import type { ContainerRecord } from '../records.ts'
import { sharedNamespaces } from '../shared-namespaces.ts'
import type { FoundDrift } from './drift.ts'
import { startAnew } from './start-anew.ts'

export function findNamespaceDrift(
  context: Context,
  records: readonly ContainerRecord[],
): FoundDrift[] {
  return records.flatMap((record) => {
    const difference = lostNamespace(context, record)
    if (difference === undefined) return []
    const { id, config } = record
    const about = { subject: config.name, service: config.service, difference }
    return [{ kind: 'namespace', ...about, repair: () => startAnew(context, id) }]
  })
}

function lostNamespace(context: Context, { id, config }: ContainerRecord): string | undefined {
  const lost = sharedNamespaces(config).find(({ file, container }) => {
    const own = namespaceOf(context, id, file)
    const owners = namespaceOf(context, container, file)
    return own !== undefined && owners !== undefined && own !== owners
  })
  if (lost === undefined) return undefined
  const owner = context.containers.get(lost.container)?.config.name ?? lost.container
  return `it is in a ${lost.file} namespace that "${owner}" has no more`
}

/** undefined: it does not run, or has just ended. */
function namespaceOf({ live }: Context, id: string, file: string): string | undefined {
  const pid = live.get(id)?.process.pid
  if (pid === undefined) return undefined
  try {
    return readlinkSync(`/proc/${String(pid)}/ns/${file}`)
  } catch {
    return undefined
  }
}
