/** Files of a project into the containers of a service: those that run now, and by the journal those that start later. */
import { closeSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import type { SyncRequest, SyncResponse, SyncResult } from '../api/watch-types.ts'
import { resolveUser, type ContainerUser } from '../engine/container-user.ts'
import type { ContainerRoot } from '../engine/container-root.ts'
import { openContainerRoot } from '../engine/exec-session.ts'
import type { ContainerTree } from '../engine/sync/container-tree.ts'
import { syncEntry, type SyncEntry, type SyncOutcome } from '../engine/sync/sync-entry.ts'
import { SyscallError } from '../kernel/libc.ts'
import { TsstackError, toTsstackError } from '../errors.ts'
import { log } from '../log.ts'
import type { Context } from './context.ts'
import { containersOf } from './observe.ts'
import type { ContainerRecord } from './records.ts'

/** How long other requests may have to wait. */
const TURN_MS = 10

/**
 * Brings paths up to date in all running replicas of a service. What fails for one path is told of that path; the others
 * are done nevertheless.
 * @throws {NOT_FOUND} when the service has no container, and nobody watches who would want it in a later one
 */
export async function syncFiles(
  context: Context,
  stack: string,
  { service, entries: wanted }: SyncRequest,
): Promise<SyncResponse> {
  const records = containersOf(context, stack).filter(
    ({ config }) => config.service === service && !config.oneoff,
  )
  if (records.length === 0 && !context.syncJournal.isOpen(stack))
    throw new TsstackError('NOT_FOUND', `Cannot sync to service "${service}": it has no container`)
  const entries = wanted.map(({ root, path, target }) => ({ source: { root, path }, target }))
  context.syncJournal.add({ stack, service }, entries)
  const running = records.filter(({ id }) => context.live.has(id))
  const results = await Promise.all(running.map((record) => syncInto(context, record, entries)))
  return {
    containers: running.map(({ config }) => config.name),
    results: entries.map(({ target }, index) =>
      joinResults(
        target,
        results.map((list) => list[index] ?? 'unchanged'),
      ),
    ),
  }
}

/** What was done for an entry in one container, or why it was not. */
type Attempt = SyncOutcome | Error

async function syncInto(
  context: Context,
  record: ContainerRecord,
  entries: readonly SyncEntry[],
): Promise<Attempt[]> {
  const { config } = record
  const live = context.live.get(record.id)
  if (live === undefined) return entries.map(() => 'unchanged')
  let rootFd: number
  try {
    rootFd = openContainerRoot(live.process.pid)
  } catch {
    return entries.map(() => 'unchanged') // it has just ended; the next one gets it from the journal
  }
  try {
    return await syncTree(treeOf(context, record, rootFd), config.name, entries)
  } finally {
    closeSync(rootFd)
  }
}

function treeOf(context: Context, { config }: ContainerRecord, rootFd: number): ContainerTree {
  const start = config.userNamespace ? (context.stacks.get(config.stack)?.idRangeStart ?? 0) : 0
  const user = resolveUser(rootFd, config.user, config.additionalGroups, {
    hasHostIds: !config.userNamespace,
  })
  return { rootFd, owner: ownerOf(start, user) }
}

/** @param start - host id of the container's root */
function ownerOf(start: number, { uid, gid }: ContainerUser): ContainerTree['owner'] {
  return { root: start, uid: start + uid, gid: start + gid }
}

/** Each entry for itself; between them the event loop gets its turn. */
async function syncTree(
  tree: ContainerTree,
  container: string,
  entries: readonly SyncEntry[],
): Promise<Attempt[]> {
  const attempts: Attempt[] = []
  let turn = performance.now()
  for (const entry of entries) {
    try {
      attempts.push(await syncEntry(tree, entry))
    } catch (error) {
      attempts.push(new Error(`${container}: ${reasonOf(error)}`))
    }
    if (performance.now() - turn < TURN_MS) continue
    await setImmediate()
    turn = performance.now()
  }
  return attempts
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EBUSY: 'something is mounted there',
  ENAMETOOLONG: 'the name is too long',
  ENOSPC: 'no space left',
  EROFS: 'the file system is read-only',
}

function reasonOf(error: unknown): string {
  const name =
    error instanceof SyscallError ? error.errnoName : (error as NodeJS.ErrnoException).code
  return REASONS[name ?? ''] ?? toTsstackError(error).message
}

function joinResults(target: string, attempts: readonly Attempt[]): SyncResult {
  let outcome: SyncOutcome = 'unchanged'
  for (const attempt of attempts) {
    if (attempt instanceof Error) return { target, outcome: 'failed', message: attempt.message }
    if (attempt !== 'unchanged') outcome = attempt
  }
  return { target, outcome }
}

/**
 * Puts what the journal has into the root of a container that is about to start, before its program can look. Volumes are
 * not mounted yet: `syncStarted` does the rest.
 */
export async function syncNewRoot(
  context: Context,
  record: ContainerRecord,
  root: ContainerRoot,
): Promise<void> {
  const { config } = record
  const entries = context.syncJournal
    .entries(config)
    .filter(({ target }) => !config.mounts.some((mount) => isWithin(target, mount.target)))
  if (entries.length === 0 || config.oneoff) return
  const user = resolveUser(root.fd, config.user, config.additionalGroups, {
    hasHostIds: !config.userNamespace,
  })
  const tree = { rootFd: root.creationFd, owner: ownerOf(root.owner, user) }
  tell(record, await syncTree(tree, config.name, entries))
}

/** Puts into a container that has just started what lies in mounts, and what has changed since `position`. */
export async function syncStarted(
  context: Context,
  record: ContainerRecord,
  position: number,
): Promise<void> {
  const { config } = record
  if (config.oneoff) return
  const later = new Set(context.syncJournal.entries(config, position))
  const entries = context.syncJournal
    .entries(config)
    .filter(
      (entry) =>
        later.has(entry) || config.mounts.some((mount) => isWithin(entry.target, mount.target)),
    )
  if (entries.length > 0) tell(record, await syncInto(context, record, entries))
}

function isWithin(target: string, directory: string): boolean {
  return target === directory || target.startsWith(`${directory}/`)
}

/** Nobody waits for an answer here. */
function tell({ config }: ContainerRecord, attempts: readonly Attempt[]): void {
  const failed = attempts.filter((attempt) => attempt instanceof Error)
  if (failed.length > 0)
    log.warn('synced files could not be put into a new container', {
      container: config.name,
      failed: failed.length,
      first: failed[0]?.message,
    })
}
