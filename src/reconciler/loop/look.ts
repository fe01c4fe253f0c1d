/** One look at one stack: what differs, told as events, and repaired where that is wanted. The caller has the stack's lock. */
import type { ReconcileMode } from '../../api/status-types.ts'
import { toTsstackError, type TsstackError } from '../../errors.ts'
import type { HostInterfaces } from '../../network/network-driver.ts'
import type { Stack } from '../../spec/stack.ts'
import type { Context } from '../context.ts'
import { containersOf } from '../observe.ts'
import { findContainerDrift, type Baselines } from './container-drift.ts'
import type { Drift, FoundDrift } from './drift.ts'
import type { HostView } from './host-view.ts'
import { hasEnded, interventionsOf, resume } from './interventions.ts'
import { findNamespaceDrift } from './namespace-drift.ts'
import { findNetworkDrift } from './network-drift.ts'
import { findOverrideDrift } from './override-drift.ts'
import { findPlanDrift, type SettledPlans } from './plan-drift.ts'

export interface LookOptions {
  readonly baselines: Baselines
  readonly settledPlans: SettledPlans
  readonly host: HostView
  /** What somebody did to the firewall; emptied when that is repaired. */
  readonly tampering: Set<string>
  /** What was told already, and has not been repaired. */
  readonly reported: readonly Drift[]
  /** Raised when it is to wait for nothing any more. */
  readonly hurry: AbortSignal
}

export interface Looked {
  /** What differs still. */
  readonly drift: readonly Drift[]
  readonly repaired: number
  /** Of the first repair that failed. */
  readonly failure?: TsstackError
}

/** `x-tsstack.reconcile` of the stack file: what is done about drift. */
export function reconcileMode(stack: Stack | undefined): ReconcileMode {
  const extension: unknown = stack?.['x-tsstack']
  const mode =
    typeof extension === 'object' && extension !== null && 'reconcile' in extension
      ? extension.reconcile
      : undefined
  return mode === 'observe' || mode === 'off' ? mode : 'repair'
}

export async function lookAtStack(
  context: Context,
  stack: string,
  options: LookOptions,
): Promise<Looked> {
  const mode = effectiveMode(context, stack)
  if (reconcileMode(context.stacks.get(stack)?.stack) !== 'repair') giveUpCutShort(context, stack)
  if (mode === 'off') return { drift: [], repaired: 0 }
  const { baselines, settledPlans, host, tampering, hurry } = options
  const mayRepair = mode === 'repair'
  const records = containersOf(context, stack)
  const inContainers = await findContainerDrift(context, records, { baselines, mayRepair })
  const inNetworks = (interfaces: HostInterfaces): FoundDrift[] =>
    findNetworkDrift(context, { stack, records }, interfaces)
  const found = [
    ...(inNetworks(host.recent()).length === 0 ? [] : inNetworks(host.now())),
    ...findFirewallDrift(context, stack, tampering),
    ...inContainers,
    ...findNamespaceDrift(context, records),
    ...findOverrideDrift(context, stack),
    ...findPlanDrift(context, stack, { settledPlans, hurry }),
  ]
  for (const drift of found) if (!isAmong(options.reported, drift)) tell(context, stack, drift)
  if (!mayRepair) return { drift: found.map(withoutRepair), repaired: 0 }
  return repairAll(context, stack, found)
}

/** An `up` that nobody goes on with has failed: while somebody did, this look would wait. */
function giveUpCutShort({ revisions }: Context, stack: string): void {
  const revision = revisions.latest(stack)
  if (revision?.outcome.status !== 'applying') return
  const message = 'Cannot go on with it: it was cut short, and the loop may not repair the stack'
  revisions.settle(revision, { status: 'failed', message })
}

/**
 * Puts the rules right that somebody has changed, where a stack wants that. It needs no stack's lock: an update that goes on
 * for minutes must not keep all published ports from leading anywhere. What fails is left to the looks.
 */
export async function repairFirewall(context: Context, tampering: Set<string>): Promise<void> {
  const { name } =
    context.stacks.values().find((stack) => effectiveMode(context, stack.name) === 'repair') ?? {}
  if (name === undefined) return
  const found = findFirewallDrift(context, name, tampering)
  for (const drift of found) tell(context, name, drift)
  await repairAll(context, name, found)
}

/** A suspended stack is looked at and left as it is, until its suspension ends. */
function effectiveMode(context: Context, stack: string): ReconcileMode {
  const mode = reconcileMode(context.stacks.get(stack)?.stack)
  const { suspended } = interventionsOf(context.interventions, stack)
  if (suspended === undefined) return mode
  if (hasEnded(suspended, Date.now())) {
    resume(context.interventions, stack)
    context.events.emit({ type: 'stack', action: 'resume', stack, id: stack, attributes: {} })
    return mode
  }
  return mode === 'off' ? 'off' : 'observe'
}

function findFirewallDrift(context: Context, stack: string, tampering: Set<string>): FoundDrift[] {
  if (tampering.size === 0) return []
  const difference = [...tampering].sort().join(', ')
  const repair = (): Promise<void> => {
    context.networks.rewriteFirewall()
    tampering.clear()
    return Promise.resolve()
  }
  return [{ kind: 'firewall', subject: stack, difference, repair }]
}

async function repairAll(
  context: Context,
  stack: string,
  found: readonly FoundDrift[],
): Promise<Looked> {
  if (found.length === 0) return { drift: [], repaired: 0 }
  const left: Drift[] = []
  let failure: TsstackError | undefined
  await context.telemetry.repairs(stack, async (measure) => {
    for (const drift of found) {
      try {
        await measure(drift, () => drift.repair())
        tell(context, stack, drift, 'repair')
      } catch (error) {
        left.push(withoutRepair(drift))
        failure ??= toTsstackError(error)
      }
    }
  })
  const repaired = found.length - left.length
  return { drift: left, repaired, ...(failure === undefined ? {} : { failure }) }
}

function tell(
  context: Context,
  stack: string,
  { kind, subject, service, difference }: Drift,
  action = 'drift',
): void {
  context.events.emit({
    type: 'stack',
    action,
    stack,
    ...(service === undefined ? {} : { service }),
    id: stack,
    attributes: { kind, subject, difference },
  })
}

function isAmong(drifts: readonly Drift[], { kind, subject, difference }: Drift): boolean {
  return drifts.some(
    (known) => known.kind === kind && known.subject === subject && known.difference === difference,
  )
}

function withoutRepair({ repair, ...drift }: FoundDrift): Drift {
  return drift
}
