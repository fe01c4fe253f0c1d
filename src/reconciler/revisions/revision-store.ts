/**
 * The history of each stack: every desired state that was accepted, what became of it, and what it takes to go back to
 * it. It is on disk only and outlives the stack, so that a `down` followed by an `up` loses no history.
 *
 *   archive "revision"          <stack>/<number, eight digits>    RevisionRecord
 *   archive "revision-source"   <stack>/<digest>                  StackSource; shared by revisions with the same digest
 */
import type { Revision, RevisionOutcome } from '../../api/revision-types.ts'
import type { StackSource } from '../../api/types.ts'
import { TsstackError } from '../../errors.ts'
import { canonicalJson, ownValue, sha256 } from '../../planner/config-hash.ts'
import { planningOptions, type DesiredState, type UpOptions } from '../../planner/desired-state.ts'
import { modelChanges } from '../../planner/model-changes.ts'
import { withNamedNetworks } from '../../planner/network-modes.ts'
import { serviceConfiguration } from '../../planner/service-fields.ts'
import type { Archive, StateStore } from '../../state/state-store.ts'

/** Older ones are forgotten, but never the current one and never the last that succeeded. */
const KEPT_REVISIONS = 50
/** A diff is for people; beyond this nobody reads on. */
const KEPT_CHANGES = 200

/** What is remembered of a revision: what is told of it, and what it takes to go back to it. */
export interface RevisionRecord extends Omit<Revision, 'current'> {
  readonly mountedImageDigests: Readonly<Record<string, string>>
  readonly contentDigests: DesiredState['contentDigests']
  /** What its `up` is about, and how: for whoever goes on with one that was cut short. */
  readonly options?: UpOptions
}

/** A desired state that is to become the stack's current revision. */
export interface Acceptance {
  readonly source: StackSource
  readonly desired: DesiredState
  readonly author: string
  readonly options: UpOptions
  readonly rollbackOf?: number
}

export interface RevisionStore {
  /** Newest first; the first one is what the stack is, or was, last wanted to be. */
  list(stack: string): RevisionRecord[]
  /** @throws {NOT_FOUND} */
  get(stack: string, number: number): RevisionRecord
  latest(stack: string): RevisionRecord | undefined
  /** The newest that succeeded, of those older than the given number. */
  lastGood(stack: string, before?: number): RevisionRecord | undefined
  /** What has to be applied to go back to it. @throws {NOT_FOUND} */
  sourceOf(revision: RevisionRecord): StackSource
  desiredOf(revision: RevisionRecord): DesiredState
  /** By service: what the containers have that are made of it (ContainerRecord.replaceHash). None when it is not kept. */
  replaceHashes(revision: RevisionRecord): ReadonlyMap<string, string>
  /**
   * Makes a desired state the current one. One that equals the current one is no new revision: that is tried again, and
   * one that was not done when a new one came is superseded.
   */
  accept(acceptance: Acceptance): RevisionRecord
  /** Writes down how it ended; nothing happens when it was superseded meanwhile. */
  settle(revision: RevisionRecord, outcome: Omit<RevisionOutcome, 'at'>): void
}

export function openRevisionStore(state: StateStore): RevisionStore {
  return new Store(state.archive('revision'), state.archive('revision-source'))
}

class Store implements RevisionStore {
  readonly #records: Archive<RevisionRecord>
  readonly #sources: Archive<StackSource>
  /** Of each stack's last one that was asked for: with each status, and only another revision has others. */
  readonly #hashes = new Map<string, { digest: string; hashes: ReadonlyMap<string, string> }>()

  constructor(records: Archive<RevisionRecord>, sources: Archive<StackSource>) {
    this.#records = records
    this.#sources = sources
  }

  list(stack: string): RevisionRecord[] {
    return this.#records.list(`${stack}/`).reverse()
  }

  get(stack: string, number: number): RevisionRecord {
    const record = this.#records.get(keyOf({ stack, number }))
    if (record !== undefined) return record
    const newest = this.latest(stack)
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot find revision ${String(number)} of stack "${stack}": ` +
        (newest === undefined ? 'it has none' : 'it is not kept'),
      { hint: `tsstack -p ${stack} history` },
    )
  }

  latest(stack: string): RevisionRecord | undefined {
    return this.#records.last(`${stack}/`)
  }

  lastGood(stack: string, before = Infinity): RevisionRecord | undefined {
    return this.list(stack).find(
      ({ number, outcome }) => number < before && outcome.status === 'succeeded',
    )
  }

  sourceOf({ stack, number, digest }: RevisionRecord): StackSource {
    const source = this.#sources.get(`${stack}/${digest}`)
    if (source !== undefined) return source
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot read revision ${String(number)} of stack "${stack}": its files are not kept`,
    )
  }

  desiredOf(revision: RevisionRecord): DesiredState {
    const { imageDigests, mountedImageDigests, contentDigests } = revision
    const { stack, disabledServices = [] } = this.sourceOf(revision)
    return {
      stack: withNamedNetworks(stack),
      disabledServices,
      imageDigests,
      mountedImageDigests,
      contentDigests,
    }
  }

  replaceHashes(revision: RevisionRecord): ReadonlyMap<string, string> {
    const { stack, digest } = revision
    const known = this.#hashes.get(stack)
    if (known?.digest === digest) return known.hashes
    if (this.#sources.get(`${stack}/${digest}`) === undefined) return new Map()
    const desired = this.desiredOf(revision)
    const hashes = new Map(
      Object.keys(desired.stack.services).map((name) => [
        name,
        serviceConfiguration(name, desired).replaceHash,
      ]),
    )
    this.#hashes.set(stack, { digest, hashes })
    return hashes
  }

  accept({ source, desired, author, options, rollbackOf }: Acceptance): RevisionRecord {
    const { name } = source.stack
    const before = this.latest(name)
    const complete = this.#completed(desired, before)
    const digest = digestOf(complete)
    if (before?.digest === digest) return this.#retried(before, options)
    if (before?.outcome.status === 'applying')
      this.#write({ ...before, outcome: outcomeOf('superseded') })
    const old = before === undefined ? undefined : this.desiredOf(before)
    this.#sources.put(`${name}/${digest}`, plainSource(source))
    const record = this.#write({
      stack: name,
      number: (before?.number ?? 0) + 1,
      digest,
      createdAt: new Date().toISOString(),
      author,
      files: source.files,
      ...(source.origin === undefined ? {} : { origin: source.origin }),
      imageDigests: complete.imageDigests,
      mountedImageDigests: complete.mountedImageDigests ?? {},
      contentDigests: complete.contentDigests,
      ...(rollbackOf === undefined ? {} : { rollbackOf }),
      options: lastingOptions(options),
      changes: modelChanges(old, complete).slice(0, KEPT_CHANGES),
      outcome: outcomeOf('applying'),
    })
    this.#trim(name)
    return record
  }

  settle(
    { stack, number }: RevisionRecord,
    { status, message }: Omit<RevisionOutcome, 'at'>,
  ): void {
    const record = this.#records.get(keyOf({ stack, number }))
    if (record === undefined || record.outcome.status === 'superseded') return
    if (record.outcome.status === status && record.outcome.message === message) return
    this.#write({ ...record, outcome: outcomeOf(status, message) })
  }

  /** What succeeded stays so until it fails. */
  #retried(record: RevisionRecord, options: UpOptions): RevisionRecord {
    if (record.outcome.status === 'succeeded') return record
    const outcome = outcomeOf('applying')
    return this.#write({ ...record, options: lastingOptions(options), outcome })
  }

  /** An `up` of some services looks at their images only: the others keep theirs, where they still ask for the same. */
  #completed(desired: DesiredState, before: RevisionRecord | undefined): DesiredState {
    const { services } = desired.stack
    const isComplete = Object.keys(services).every((name) =>
      Object.hasOwn(desired.imageDigests, name),
    )
    if (isComplete || before === undefined) return desired
    const old = this.desiredOf(before)
    const kept = Object.entries(old.imageDigests).filter(
      ([name]) => ownValue(services, name)?.image === ownValue(old.stack.services, name)?.image,
    )
    return {
      ...desired,
      imageDigests: { ...Object.fromEntries(kept), ...desired.imageDigests },
      mountedImageDigests: { ...old.mountedImageDigests, ...desired.mountedImageDigests },
    }
  }

  #write(record: RevisionRecord): RevisionRecord {
    this.#records.put(keyOf(record), record)
    return record
  }

  #trim(stack: string): void {
    const all = this.list(stack)
    if (all.length <= KEPT_REVISIONS) return
    const good = this.lastGood(stack)?.number
    const gone = all.slice(KEPT_REVISIONS).filter(({ number }) => number !== good)
    for (const record of gone) this.#records.delete(keyOf(record))
    const used = new Set(this.list(stack).map(({ digest }) => digest))
    for (const { digest } of gone) if (!used.has(digest)) this.#sources.delete(`${stack}/${digest}`)
  }
}

function keyOf({ stack, number }: Pick<RevisionRecord, 'stack' | 'number'>): string {
  return `${stack}/${String(number).padStart(8, '0')}`
}

function outcomeOf(status: RevisionOutcome['status'], message?: string): RevisionOutcome {
  const at = new Date().toISOString()
  return { status, at, ...(message === undefined ? {} : { message }) }
}

function digestOf(desired: DesiredState): string {
  const { stack, imageDigests, mountedImageDigests = {}, contentDigests } = desired
  const mounted = Object.keys(mountedImageDigests).length === 0 ? {} : { mountedImageDigests }
  return sha256(canonicalJson({ stack, imageDigests, ...mounted, contentDigests }))
}

/** Not what is to be done once: who goes on after a crash does not know to whom it was done already. */
function lastingOptions(options: UpOptions): UpOptions {
  const { forceRecreate, alwaysRecreateDeps, removeOrphans, scale, rerun, before, ...lasting } =
    planningOptions(options)
  return lasting
}

/** Without the options and logins of the request. */
function plainSource({
  stack,
  files,
  workingDir,
  contents,
  disabledServices = [],
  origin,
}: StackSource): StackSource {
  const plain = { stack, files, workingDir, contents, disabledServices }
  return { ...plain, ...(origin === undefined ? {} : { origin }) }
}
