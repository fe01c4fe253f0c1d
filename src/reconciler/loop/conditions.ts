/**
 * How a service and a stack are, in four conditions with the words of Kubernetes and Flux. Pure.
 *
 *   Ready        every container that is wanted runs, and is healthy where that is checked
 *   Progressing  something is on its way: a revision is applied, a container starts
 *   Degraded     it is not as it is wanted, and that is not the way there
 *   Stalled      nothing more will happen by itself: the revision failed, a repair fails again and again
 */
import type { Condition, ConditionType, Override } from '../../api/status-types.ts'
import type { ContainerState, HealthState } from '../../planner/observed-state.ts'
import type { RevisionRecord } from '../revisions/revision-store.ts'

/** Of one replica. */
export interface ReplicaView {
  readonly name: string
  readonly state: ContainerState
  readonly health: HealthState
  readonly exitCode?: number
  readonly error?: string
  /** It has ended and is not to be started again: a job that is done. */
  readonly completed: boolean
}

export interface ServiceView {
  readonly desired: number
  /** Those that serve. */
  readonly replicas: readonly ReplicaView[]
  /** New ones that run and do not serve yet: a rollout. */
  readonly incoming?: readonly ReplicaView[]
  readonly override?: Override
  /** The stack file does not have it any more. */
  readonly orphan?: boolean
  /** How many replicas are not of the revision: an update that went on without them, an `up --no-recreate`. */
  readonly outdated?: number
}

/** What is known of a stack beside its services. */
export interface StackView {
  readonly revision: Pick<RevisionRecord, 'number' | 'outcome'> | undefined
  readonly drift: number
  readonly failures: number
  readonly lastError?: string
}

interface Finding {
  readonly reason: string
  readonly message: string
}

const ORPHAN: Finding = {
  reason: 'Orphan',
  message: 'no longer in the stack file ("up --remove-orphans" removes it)',
}

/** Of many failures in a row nobody expects that the next try goes well. */
const STALLED_AFTER = 5

export function serviceConditions(view: ServiceView, revision: number | undefined): Condition[] {
  const progressing = findProgress(view)
  const degraded = progressing === undefined ? findDegradation(view) : undefined
  const notReady = progressing ?? degraded
  const ready = view.orphan === true ? ORPHAN : undefined
  return conditions({ ready, notReady, progressing, degraded, stalled: undefined }, revision)
}

/** @param services - conditions of each, by name */
export function stackConditions(
  view: StackView,
  services: ReadonlyMap<string, readonly Condition[]>,
): Condition[] {
  const { revision, drift, failures, lastError = '' } = view
  const outcome = revision?.outcome
  const progressing: Finding | undefined =
    outcome?.status === 'applying'
      ? { reason: 'Applying', message: `revision ${String(revision?.number)} is being applied` }
      : firstOf(services, 'Progressing')
  const stalled: Finding | undefined =
    outcome?.status === 'failed'
      ? { reason: 'RevisionFailed', message: outcome.message ?? '' }
      : failures >= STALLED_AFTER
        ? { reason: 'RepairFails', message: lastError }
        : undefined
  const degraded: Finding | undefined =
    stalled ??
    firstOf(services, 'Degraded') ??
    (drift > 0 ? { reason: 'Drift', message: driftText(drift) } : undefined)
  const notReady = progressing ?? degraded
  return conditions({ notReady, progressing, degraded, stalled }, revision?.number)
}

function driftText(count: number): string {
  return count === 1
    ? '1 difference is not repaired'
    : `${String(count)} differences are not repaired`
}

function firstOf(
  services: ReadonlyMap<string, readonly Condition[]>,
  type: ConditionType,
): Finding | undefined {
  for (const [name, list] of services) {
    const found = list.find((condition) => condition.type === type && condition.status === 'True')
    if (found !== undefined) return { reason: found.reason, message: `${name}: ${found.message}` }
  }
  return undefined
}

function findProgress({ replicas, incoming = [] }: ServiceView): Finding | undefined {
  const starting = [...replicas, ...incoming].find(
    ({ state, health }) => state === 'running' && health === 'starting',
  )
  return starting && { reason: 'Starting', message: `${starting.name} is not healthy yet` }
}

function findDegradation({
  desired,
  replicas,
  override,
  outdated = 0,
}: ServiceView): Finding | undefined {
  if (override?.kind === 'stopped')
    return {
      reason: 'StoppedByHand',
      message: `stopped by ${override.author}${untilText(override)}${reasonText(override)}`,
    }
  const bad = replicas.find((replica) => !isGood(replica))
  if (bad !== undefined) return { reason: reasonOf(bad), message: messageOf(bad) }
  if (replicas.length < desired) {
    const message = `${String(replicas.length)} of ${String(desired)} containers are there`
    return { reason: 'Missing', message }
  }
  if (outdated === 0) return undefined
  const message = `${String(outdated)} of ${String(replicas.length)} containers are as before the last change`
  return { reason: 'Outdated', message }
}

function untilText({ until }: Override): string {
  return until === undefined ? '' : ` until ${until}`
}

function reasonText({ reason }: Override): string {
  return reason === undefined ? '' : `: ${reason}`
}

function isGood({ state, health, completed }: ReplicaView): boolean {
  return state === 'running' ? health !== 'unhealthy' : completed
}

function reasonOf({ state }: ReplicaView): string {
  if (state === 'running') return 'Unhealthy'
  return { created: 'NotStarted', paused: 'Paused', restarting: 'Restarting', exited: 'Exited' }[
    state === 'dead' ? 'exited' : state
  ]
}

function messageOf({ name, state, exitCode, error }: ReplicaView): string {
  if (state === 'running') return `${name} is unhealthy`
  const code = exitCode === undefined ? '' : ` with code ${String(exitCode)}`
  const why = error === undefined ? '' : `: ${error}`
  if (state === 'created') return `${name} was not started${why}`
  if (state === 'paused') return `${name} is paused`
  return state === 'restarting'
    ? `${name} has exited${code} and is to be started again${why}`
    : `${name} has exited${code}${why}`
}

function conditions(
  findings: Readonly<
    Record<'notReady' | 'progressing' | 'degraded' | 'stalled', Finding | undefined>
  > & { readonly ready?: Finding | undefined },
  revision: number | undefined,
): Condition[] {
  const observed = revision === undefined ? {} : { observedRevision: revision }
  const positive = (type: ConditionType, finding: Finding | undefined): Condition => ({
    type,
    status: finding === undefined ? 'False' : 'True',
    ...(finding ?? { reason: 'AsDesired', message: '' }),
    ...observed,
  })
  const { notReady, progressing, degraded, stalled } = findings
  const ready: Condition = {
    type: 'Ready',
    status: notReady === undefined ? 'True' : 'False',
    ...(notReady ?? findings.ready ?? { reason: 'AsDesired', message: '' }),
    ...observed,
  }
  return [
    ready,
    positive('Progressing', progressing),
    positive('Degraded', degraded),
    positive('Stalled', stalled),
  ]
}
