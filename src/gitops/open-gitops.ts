/**
 * The sources of this host, and who follows them. On disk, below the daemon's state directory:
 *
 *   gitops/checkouts/     commits as directories (checkouts.ts)
 *   gitops/content/       what containers mount of them (content-store.ts)
 */
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { GitSource, GitSourceStatus, PendingChange, SyncRequest } from '../api/gitops-types.ts'
import { TsstackError } from '../errors.ts'
import type { Context } from '../reconciler/context.ts'
import { REF_NAME } from '../sources/git-reference.ts'
import { openCheckouts } from './checkouts.ts'
import { collectGarbage } from './collect-garbage.ts'
import { progressOf, record, type GitopsEngine } from './engine.ts'
import { FairQueue } from './fair-queue.ts'
import { parseWindow } from './freeze-windows.ts'
import { gitAccess, pushAccess } from './git-access.ts'
import { notify } from './notify.ts'
import { openSourceRecords, type SourceRecord } from './source-records.ts'
import { SourceRunner } from './source-runner.ts'
import { statusOf } from './source-status.ts'
import { allowedSigners } from './verify-signature.ts'
import type { WebhookTargets } from './webhook-server.ts'

export interface Gitops extends WebhookTargets {
  list(): readonly GitSourceStatus[]
  /** @throws {NOT_FOUND} */
  status(name: string): GitSourceStatus
  /** Declares a source, or declares it anew; the first pass begins at once. @throws {INVALID_ARGUMENT} {ALREADY_EXISTS} */
  add(source: GitSource): GitSourceStatus
  /** Follows it no more; its stack stays. @throws {NOT_FOUND} */
  remove(name: string): Promise<void>
  /** Answers when the pass has ended. @throws {NOT_FOUND} {FAILED_PRECONDITION} it is suspended */
  sync(name: string, request: SyncRequest): Promise<GitSourceStatus>
  /** @throws {NOT_FOUND} */
  suspend(name: string, suspended: boolean): GitSourceStatus
  /** Lets the pending change be made. @throws {NOT_FOUND} {FAILED_PRECONDITION} there is none, or it is another one now */
  approve(name: string, digest?: string): Promise<GitSourceStatus>
  /** What waits, with its plan. @throws {NOT_FOUND} */
  pending(name: string): PendingChange | undefined
}

const OPEN_MODE = 0o711
const LOOKS_AT_A_TIME = 4

/** Begins to follow every source that is known. @param directory - `gitops` of the state directory */
export function openGitops(context: Context, directory: string): Gitops {
  const contentRoot = join(directory, 'content')
  for (const place of [directory, contentRoot]) {
    mkdirSync(place, { recursive: true })
    chmodSync(place, OPEN_MODE) // whatever the umask is: containers mount what is below
  }
  const engine: GitopsEngine = {
    context,
    contentRoot,
    records: openSourceRecords(context.state),
    checkouts: openCheckouts(join(directory, 'checkouts')),
    looks: new FairQueue(LOOKS_AT_A_TIME),
    tell: notify,
  }
  return new FollowedSources(engine)
}

class FollowedSources implements Gitops {
  readonly #engine: GitopsEngine
  readonly #runners = new Map<string, SourceRunner>()

  constructor(engine: GitopsEngine) {
    this.#engine = engine
    collectGarbage(engine, new Set())
    for (const { name } of engine.records.sources.values()) this.#follow(name)
    this.#noteFollowed()
  }

  #noteFollowed(): void {
    const { context, records } = this.#engine
    context.followed.clear()
    for (const { name, stack, suspended } of records.sources.values())
      if (!suspended) context.followed.set(stack, name)
  }

  list(): readonly GitSourceStatus[] {
    return this.#engine.records.sources.values().map((source) => this.#statusOf(source))
  }

  status(name: string): GitSourceStatus {
    return this.#statusOf(this.#require(name))
  }

  add(source: GitSource): GitSourceStatus {
    const { sources } = this.#engine.records
    checkSource(source, sources.values())
    const suspended = sources.get(source.name)?.suspended ?? false
    const declared = { ...source, suspended }
    sources.put(source.name, declared)
    this.#noteFollowed()
    this.#follow(source.name)
    return this.#statusOf(declared)
  }

  async remove(name: string): Promise<void> {
    this.#require(name)
    const { sources, progress } = this.#engine.records
    sources.delete(name)
    progress.delete(name)
    this.#noteFollowed()
    await this.#runners.get(name)?.close()
    this.#runners.delete(name)
    this.#collect()
  }

  async sync(name: string, { force = false }: SyncRequest): Promise<GitSourceStatus> {
    const source = this.#require(name)
    if (source.suspended && !force)
      throw new TsstackError('FAILED_PRECONDITION', `Cannot sync "${name}": it is suspended`, {
        hint: `tsstack gitops resume ${name}, or --force for this once`,
      })
    await this.#runners.get(name)?.sync({ force, scan: true })
    return this.status(name)
  }

  suspend(name: string, suspended: boolean): GitSourceStatus {
    const source = { ...this.#require(name), suspended }
    this.#engine.records.sources.put(name, source)
    this.#noteFollowed()
    void this.#runners.get(name)?.sync()
    return this.#statusOf(source)
  }

  async approve(name: string, digest?: string): Promise<GitSourceStatus> {
    const source = this.#require(name)
    const { pending } = progressOf(this.#engine, name)
    if (pending === undefined)
      throw new TsstackError('FAILED_PRECONDITION', `Cannot approve "${name}": nothing waits`)
    if (digest !== undefined && digest !== pending.digest)
      throw new TsstackError(
        'FAILED_PRECONDITION',
        `Cannot approve "${name}": what waits is another change now`,
        { hint: `See tsstack gitops diff ${name}` },
      )
    record(this.#engine, source, { approvedDigest: pending.digest })
    await this.#runners.get(name)?.sync()
    return this.status(name)
  }

  pending(name: string): PendingChange | undefined {
    this.#require(name)
    return progressOf(this.#engine, name).pending
  }

  secretOf(name: string): string | undefined {
    return this.#engine.records.sources.get(name)?.webhookSecret
  }

  trigger(name: string): void {
    this.#runners.get(name)?.poke()
  }

  #follow(name: string): void {
    const onEnded = (): void => {
      this.#collect()
      this.#goOnAfter(name)
    }
    const runner = this.#runners.get(name) ?? new SourceRunner(this.#engine, name, onEnded)
    this.#runners.set(name, runner)
    void runner.sync()
  }

  /** Those that wait for this source do not wait for their interval, too. */
  #goOnAfter(name: string): void {
    if (progressOf(this.#engine, name).ready !== 'True') return
    for (const source of this.#engine.records.sources.values()) {
      const { reason } = progressOf(this.#engine, source.name)
      if (source.dependsOn.includes(name) && reason === 'DependencyNotReady')
        void this.#runners.get(source.name)?.sync()
    }
  }

  #collect(): void {
    const busy = [...this.#runners].flatMap(([name, { isIdle }]) => (isIdle ? [] : [name]))
    collectGarbage(this.#engine, new Set(busy))
  }

  #require(name: string): SourceRecord {
    const source = this.#engine.records.sources.get(name)
    if (source !== undefined) return source
    throw new TsstackError('NOT_FOUND', `Cannot find source "${name}": it was not added`, {
      hint: 'See tsstack gitops ls',
    })
  }

  #statusOf(source: SourceRecord): GitSourceStatus {
    return statusOf(this.#engine, source, this.#runners.get(source.name)?.nextAt)
  }
}

/** @throws {INVALID_ARGUMENT} what can't be read; {ALREADY_EXISTS} another source has the stack */
function checkSource(source: GitSource, others: readonly GitSource[]): void {
  gitAccess(source)
  checkImageUpdates(source)
  for (const text of [...source.windows, ...source.freezes]) parseWindow(text)
  for (const key of source.verifyKeys) if (!key.includes('BEGIN PGP')) allowedSigners(key)
  const owner = others.find(({ name, stack }) => stack === source.stack && name !== source.name)
  if (owner !== undefined)
    throw new TsstackError(
      'ALREADY_EXISTS',
      `Cannot follow "${source.name}": source "${owner.name}" has stack "${source.stack}"`,
      { hint: 'Give this one another stack by --project' },
    )
  const missing = source.dependsOn.find((name) => !others.some((other) => other.name === name))
  if (missing !== undefined)
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot follow "${source.name}": it depends on "${missing}", which is no source`,
      { hint: 'Add that first' },
    )
}

/** @throws {INVALID_ARGUMENT} */
function checkImageUpdates(source: GitSource): void {
  const { imageUpdates, verifyKeys } = source
  if (imageUpdates === undefined) return
  pushAccess(source, imageUpdates)
  const { branch = 'main' } = imageUpdates
  if (!REF_NAME.test(branch))
    throw new TsstackError('INVALID_ARGUMENT', `Cannot write to "${branch}": it is no branch`)
  if (verifyKeys.length > 0 && imageUpdates.signKeyFile === undefined)
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot write images to "${source.name}": its commits have to be signed`,
      { hint: 'Give a key to sign with by --sign-key, and its public half by --verify-key' },
    )
}
