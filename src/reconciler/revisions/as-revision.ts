import { toTsstackError } from '../../errors.ts'
import type { Context } from '../context.ts'
import type { Acceptance, RevisionRecord } from './revision-store.ts'

/**
 * Makes a desired state the stack's current revision, does what that takes, and writes down how it ended.
 * @throws what the work throws
 */
export async function asRevision(
  context: Context,
  acceptance: Acceptance,
  work: () => Promise<void>,
): Promise<void> {
  const before = context.revisions.latest(acceptance.source.stack.name)
  const revision = context.revisions.accept(acceptance)
  if (revision.number !== before?.number) tell(context, revision, 'revision')
  try {
    await work()
    context.revisions.settle(revision, { status: 'succeeded' })
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
