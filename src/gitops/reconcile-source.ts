/**
 * One pass over a source: which commit it is at, what that asks for, whether it may be had now, and then having it.
 *
 *   fetch ▶ verify ▶ load ▶ policy ▶ same as what runs? ▶ held? ▶ guards ▶ dependencies ▶ window ▶ approval ▶ settle ▶ newer images?
 */
import type { GitSource, GitSourceReason } from '../api/gitops-types.ts'
import type { StackOrigin } from '../api/revision-types.ts'
import { TsstackError, toTsstackError } from '../errors.ts'
import { containersOf } from '../reconciler/observe.ts'
import { findRevision } from '../sources/git-checkout.ts'
import { hasDeparted } from './departures.ts'
import { SpecError, summaryOf } from '../spec/spec-error.ts'
import { withoutLogin } from '../spec/without-login.ts'
import { planRelease } from './apply-release.ts'
import type { Checkout } from './checkouts.ts'
import { realOrSame } from './confined-files.ts'
import { progressOf, record, type GitopsEngine } from './engine.ts'
import { mayChangeAt, nextChangeAt } from './freeze-windows.ts'
import { gitAccess } from './git-access.ts'
import type { PolicedImage } from './image-policies.ts'
import { loadApart } from './load-apart.ts'
import { rollBack, settleRelease, type Settling } from './settle-release.ts'
import type { Release } from './source-records.ts'
import { updateImages } from './update-images.ts'

export interface Pass extends Settling {
  /** Also what is held, and what runs already. */
  readonly force: boolean
  /** Look for newer images whatever the interval says. */
  readonly scan: boolean
}

/** A commit of ours, or one that came before it, is looked at in the same pass; not for ever. */
const MAX_ROUNDS = 3

/** Throws nothing: what became of it is in the record. */
export async function reconcileSource(engine: GitopsEngine, pass: Pass): Promise<void> {
  const { source } = pass
  if (progressOf(engine, source.name).rollingBack === true) await rollBack(engine, pass)
  let { force, scan } = pass
  for (let round = 1; round <= MAX_ROUNDS; round++) {
    const asked = { ...pass, force }
    const look = await engine.looks.run(() => lookAtSource(engine, asked))
    if (look === undefined) {
      await resume(engine, pass)
      return
    }
    const { release, images, root } = look
    await decide(engine, release, asked)
    const { commit } = release
    const outcome = await updateImages(engine, { source, commit, root, images, force, now: scan })
    if (outcome === undefined) return
    force = false
    scan = outcome === 'overtaken'
  }
}

/** What was begun is not left half done because its repository can't be reached. */
async function resume(engine: GitopsEngine, pass: Pass): Promise<void> {
  const { applying } = progressOf(engine, pass.source.name)
  if (applying !== undefined) await settleRelease(engine, applying, pass)
}

interface Look {
  readonly release: Release
  /** Those that follow a policy. */
  readonly images: readonly PolicedImage[]
  /** The commit's files; absolute and real. */
  readonly root: string
}

/** The release that the source is at now; undefined when there is none to be had, which is recorded. */
async function lookAtSource(engine: GitopsEngine, pass: Pass): Promise<Look | undefined> {
  const { source } = pass
  const before = progressOf(engine, source.name)
  const checkout = await fetchCheckout(engine, pass)
  if (checkout === undefined) return undefined
  const { root, ...commit } = checkout
  const at = new Date().toISOString()
  try {
    const { contentRoot } = engine
    const loading = { source, root, contentRoot, others: otherStacks(engine, source) }
    const { warnings: _, images, ...loaded } = await loadApart(loading)
    const origin = originOf(source, commit.commit)
    const release = { ...commit, ...loaded, source: { ...loaded.source, origin }, at }
    refuseEmptying(engine, release, pass)
    const seen = { observedCommit: commit.commit, observedAt: at, observedDigest: release.digest }
    record(engine, source, {
      ...seen,
      failures: before.applying === undefined ? 0 : before.failures,
    })
    return { release, images, root: realOrSame(root) }
  } catch (error) {
    const reason = error instanceof SpecError ? 'Invalid' : 'Refused'
    const text = textOf(error).replaceAll(`${root}/`, '')
    refuse(engine, pass, { ...commit, digest: '', at, reason, message: text })
    // What took too much is not tried as often.
    if (toTsstackError(error).code === 'PERMISSION_DENIED')
      record(engine, source, { failures: before.failures + 1 })
    return undefined
  }
}

/** What is wrong, and what to do about it: who reads it has no other place to learn that from. */
function textOf(error: unknown): string {
  if (error instanceof SpecError)
    return error.diagnostics
      .map(
        (one) => `${summaryOf(one)}${one.suggestion === undefined ? '' : ` (${one.suggestion})`}`,
      )
      .join('\n')
  const { message, hint } = toTsstackError(error)
  return hint === undefined ? message : `${message} (${hint})`
}

/** All that are known: of people, and of other sources, whether they run yet or not. */
function otherStacks({ context, records }: GitopsEngine, { stack }: GitSource): string[] {
  const known = [
    ...context.stacks.values().map(({ name }) => name),
    ...records.sources.values().map((source) => source.stack),
  ]
  return [...new Set(known)].filter((name) => name !== stack)
}

/** Where it came from, for the stack's history. */
function originOf({ repo, ref, path }: GitSource, commit: string): StackOrigin {
  return {
    kind: 'git',
    repository: withoutLogin(repo),
    commit,
    ...(ref === undefined ? {} : { ref }),
    ...(path === '' ? {} : { path }),
  }
}

async function fetchCheckout(engine: GitopsEngine, pass: Pass): Promise<Checkout | undefined> {
  const { source, force } = pass
  let commit = ''
  try {
    const access = gitAccess(source)
    const revision = await findRevision(access.reference, access.env, access.options)
    ;({ commit } = revision)
    const { held } = progressOf(engine, source.name)
    if (held?.commit === commit && held.reason === 'VerificationFailed' && !force) return undefined
    return await engine.checkouts.get(source, access, revision)
  } catch (error) {
    const { code, message } = toTsstackError(error)
    const at = new Date().toISOString()
    if (code === 'PERMISSION_DENIED' && commit !== '') {
      const unknown = { subject: '', author: '', digest: '' }
      refuse(engine, pass, { ...unknown, commit, at, reason: 'VerificationFailed', message })
    } else {
      const { failures } = progressOf(engine, source.name)
      const condition = { ready: 'False', reason: 'FetchFailed', message } as const
      record(engine, source, { ...condition, failures: failures + 1 })
    }
    return undefined
  }
}

interface Refusal extends Omit<Release, 'source' | 'directories'> {
  readonly reason: GitSourceReason
  readonly message: string
}

/** Holds a commit that can't be applied. What runs goes on. */
function refuse(engine: GitopsEngine, { source }: Pass, refusal: Refusal): void {
  const { commit, at, reason, message } = refusal
  record(engine, source, {
    observedCommit: commit,
    observedAt: at,
    held: refusal,
    pending: undefined,
    ready: 'False',
    reason,
    message: `${commit.slice(0, 12)}: ${message}`,
  })
}

/** A file that has lost everything is rather a mistake than a wish. @throws {FAILED_PRECONDITION} */
function refuseEmptying(
  { context }: GitopsEngine,
  release: Release,
  { source, force }: Pass,
): void {
  if (!source.prune || source.allowEmpty || force) return
  const wanted = release.source.stack.services
  const running = containersOf(context, source.stack).filter(({ config }) => !config.oneoff)
  if (running.length === 0 || running.some(({ config }) => Object.hasOwn(wanted, config.service)))
    return
  throw new TsstackError(
    'FAILED_PRECONDITION',
    'Cannot apply it: it would remove every service that runs',
    { hint: 'If that is meant, add the source with --allow-empty, or run "gitops sync --force"' },
  )
}

/** Applies what may be applied now; otherwise records why it waits. */
async function decide(engine: GitopsEngine, release: Release, pass: Pass): Promise<void> {
  const { source, force } = pass
  const { applied, applying, held, approvedDigest } = progressOf(engine, source.name)
  const begun = applying?.digest === release.digest
  const isApplied =
    applied?.digest === release.digest &&
    applying === undefined &&
    !hasDeparted(engine.context, applied, source)
  if (held?.digest === release.digest && !force) return
  if (isApplied && !force) {
    markSynced(engine, release, pass)
    return
  }
  const approved = source.approve === 'auto' || approvedDigest === release.digest || force
  const wait = begun
    ? undefined
    : (waitForDependency(engine, pass) ??
      (mayChangeAt(new Date(), source)
        ? undefined
        : { reason: 'OutsideWindow' as const, message: outsideText(source) }) ??
      (approved
        ? undefined
        : { reason: 'AwaitingApproval' as const, message: 'a change waits for approval' }))
  if (wait === undefined) await settleRelease(engine, release, pass)
  else await postpone(engine, release, { ...pass, ...wait })
}

/** What runs is what is wanted, by whichever commit. */
function markSynced(engine: GitopsEngine, release: Release, { source }: Pass): void {
  const { lastGood, applied } = progressOf(engine, source.name)
  const isGood = lastGood?.digest === release.digest
  const { commit, subject, author } = release
  const renamed = (known: Release | undefined): Release | undefined =>
    known === undefined ? undefined : { ...known, commit, subject, author }
  const condition = { ready: 'True', reason: 'Synced' } as const
  record(engine, source, {
    held: undefined,
    pending: undefined,
    applied: renamed(applied),
    ...(isGood ? { lastGood: renamed(lastGood), ...condition } : {}),
    ...(isGood ? { message: `applied ${commit.slice(0, 12)}` } : {}),
  })
}

function outsideText(source: GitSource): string {
  const next = nextChangeAt(new Date(), source)
    ?.toISOString()
    .replace(/:\d\d\.\d+Z$/, 'Z')
  return next === undefined
    ? 'changes are not made at this time'
    : `changes are not made before ${next}`
}

interface Wait {
  readonly reason: GitSourceReason
  readonly message: string
}

function waitForDependency(engine: GitopsEngine, { source }: Pass): Wait | undefined {
  const missing = source.dependsOn.find(
    (name) => engine.records.progress.get(name)?.ready !== 'True',
  )
  if (missing === undefined) return undefined
  return { reason: 'DependencyNotReady', message: `source "${missing}" is not ready` }
}

async function postpone(
  engine: GitopsEngine,
  release: Release,
  { source, reason, message }: Pass & Wait,
): Promise<void> {
  const { commit, digest, subject, author, at } = release
  const text = await planRelease(engine.context, release, source).catch(
    (error: unknown) => toTsstackError(error).message,
  )
  record(engine, source, {
    pending: { commit, digest, subject, author, at, reason, text },
    ready: 'False',
    reason,
    message: `${commit.slice(0, 12)}: ${message}`,
  })
}
