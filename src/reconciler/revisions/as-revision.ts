import { toTsstackError } from '../../errors.ts'
import type { Context } from '../context.ts'
import type { Acceptance, RevisionRecord } from './revision-store.ts'

interface Beginning {
  readonly acceptance: Acceptance
  /** Writes what else has to be known of it, in the same transaction. */
  readonly note: () => void
}

/**
 * Makes a desired state the stack's current revision, does what that takes, and writes down how it ended.
 * @throws what the work throws
 */
export async function asRevision(
  context: Context,
  { acceptance, note }: Beginning,
  work: () => Promise<void>,
): Promise<void> {
  const before = context.revisions.latest(acceptance.source.stack.name)
  const revision = accepted(context, { acceptance, note })
  if (revision.number !== before?.number) tell(context, revision, 'revision')
  await concludeRevision(context, revision, work)
}

function accepted(context: Context, { acceptance, note }: Beginning): RevisionRecord {
  const revisions: RevisionRecord[] = []
  context.state.atomically(() => {
    note()
    revisions.push(context.revisions.accept(acceptance))
  })
  const [revision] = revisions
  if (revision === undefined) throw new Error('a transaction has not done its work')
  return revision
}

/**
 * Does what is left to do for a revision, and writes down how it ended.
 * @throws what the work throws
 */
export async function concludeRevision(
  context: Context,
  revision: RevisionRecord,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work()
    context.revisions.settle(revision, { status: 'succeeded' })
    if (revision.outcome.status !== 'succeeded') tell(context, revision, 'revision_succeeded')
  } catch (error) {
    const { message } = toTsstackError(error)
    context.revisions.settle(revision, { status: 'failed', message })
    tell(context, revision, 'revision_failed', { message })
    throw error
  }
}

function tell(
  context: Context,
  { stack, number, author }: RevisionRecord,
  action: string,
  attributes: Readonly<Record<string, string>> = {},
): void {
  context.events.emit({
    type: 'stack',
    action,
    stack,
    id: stack,
    attributes: { revision: String(number), author, ...attributes },
  })
}
