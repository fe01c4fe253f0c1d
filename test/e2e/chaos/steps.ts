/** What a chaos run does: chosen by the seed alone, so that a seed gives the same steps again, then done to a daemon. */
import type { LifecycleAction } from '../../../src/api/types.ts'
import { TsstackError, toTsstackError } from '../../../src/errors.ts'
import {
  collect,
  type DaemonFixture,
  type StackParts,
  type upRequest,
} from '../../daemon-fixture.ts'
import { eventually } from '../../eventually.ts'
import { killedDaemon, killedProcess, type Accounts, type Fault } from './accounts.ts'
import { isAlive } from './invariants.ts'
import type { Random } from './random.ts'
import { chooseTampering, isTampering, tamper, type Tampering } from './tampering.ts'
import { randomVariant, STACKS } from './variants.ts'

export type Operation =
  | {
      readonly kind: 'up'
      readonly stack: string
      readonly variant: StackParts
      readonly scale?: number
      readonly forceRecreate?: boolean
    }
  | {
      readonly kind: 'down'
      readonly stack: string
      readonly volumes: boolean
      readonly removeOrphans: boolean
    }
  | {
      readonly kind: 'lifecycle'
      readonly stack: string
      readonly action: LifecycleAction
      readonly services?: readonly string[]
    }
  /** SIGKILL for the first process of a container, from outside; `victim` counts the containers that run. */
  | { readonly kind: 'kill-process'; readonly victim: number }
  | Tampering

export interface Step {
  readonly operations: readonly Operation[]
  /** What happens to the daemon, and how long after the operations have begun. */
  readonly blow?: { readonly signal: 'SIGKILL' | 'SIGTERM'; readonly afterMs: number }
}

const BLOW_CHANCE = 0.3
const TERM_CHANCE = 0.2
const LONGEST_WAIT_MS = 250
const ACTIONS = ['stop', 'start', 'restart', 'kill', 'pause', 'unpause'] as const
const SERVICES = ['web', 'worker', 'job', 'terminal'] as const

export function chooseStep(random: Random): Step {
  const stack = random.pick(STACKS)
  const operations = [chooseOperation(random, stack)]
  if (random.chance(0.3))
    operations.push(chooseOperation(random, STACKS.find((other) => other !== stack) ?? stack))
  if (!random.chance(BLOW_CHANCE)) return { operations }
  const signal = random.chance(TERM_CHANCE) ? 'SIGTERM' : 'SIGKILL'
  return { operations, blow: { signal, afterMs: Math.round(random.next() ** 2 * LONGEST_WAIT_MS) } }
}

function chooseOperation(random: Random, stack: string): Operation {
  const dice = random.next()
  if (dice < 0.5) {
    const variant = randomVariant(random, stack)
    const canScale = variant.services['web']?.ports?.[0]?.published === undefined
    return {
      kind: 'up',
      stack,
      variant,
      ...(canScale && random.chance(0.2) ? { scale: 1 + random.integer(3) } : {}),
      ...(random.chance(0.1) ? { forceRecreate: true } : {}),
    }
  }
  if (dice < 0.65)
    return { kind: 'down', stack, volumes: random.chance(0.4), removeOrphans: random.chance(0.5) }
  if (dice < 0.72) return { kind: 'kill-process', victim: random.integer(100) }
  if (dice < 0.88) return chooseTampering(random)
  return {
    kind: 'lifecycle',
    stack,
    action: random.pick(ACTIONS),
    ...(random.chance(0.6) ? { services: [random.pick(SERVICES)] } : {}),
  }
}

/** What each stack should be, as far as it is known. */
export type Wanted = Map<string, Operation & { readonly kind: 'up' }>

/**
 * Does a step; the daemon runs afterwards.
 * @throws {Error} for a failure that the step does not explain
 */
export async function performStep(
  daemon: DaemonFixture,
  { operations, blow }: Step,
  { wanted, accounts }: { readonly wanted: Wanted; readonly accounts: Accounts },
): Promise<void> {
  const isDisturbed = operations.some(({ kind }) => kind === 'kill-process' || isTampering(kind))
  // What a daemon tells on a full disk waits in its memory, and goes with it.
  const mayBeForgotten = blow !== undefined && operations.some(({ kind }) => kind === 'fill-disk')
  const since = new Date().toISOString()
  const work = Promise.allSettled(operations.map((operation) => perform(daemon, operation)))
  if (blow !== undefined) {
    await new Promise((resolve) => setTimeout(resolve, blow.afterMs))
    accounts.add(killedDaemon(), since)
    await daemon.kill(blow.signal)
  }
  const results = await work
  if (blow !== undefined) await daemon.start()
  for (const [index, result] of results.entries()) {
    const operation = operations[index]
    if (operation?.kind === 'up') wanted.set(operation.stack, operation)
    if (operation?.kind === 'down') wanted.delete(operation.stack)
    if (result.status === 'fulfilled' && !mayBeForgotten) accounts.add(result.value, since)
    if (result.status === 'fulfilled' || operation === undefined) continue
    if (blow === undefined && !isDisturbed && !isExpected(operation, result.reason))
      throw asError(result.reason)
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : toTsstackError(reason)
}

/** Nothing to stop, nothing to pause: the steps don't look at what there is. */
function isExpected(operation: Operation, reason: unknown): boolean {
  return (
    operation.kind === 'lifecycle' &&
    reason instanceof TsstackError &&
    (reason.code === 'NOT_FOUND' || reason.code === 'FAILED_PRECONDITION')
  )
}

/** @returns what it did behind the daemon's back */
async function perform(daemon: DaemonFixture, operation: Operation): Promise<Fault | undefined> {
  switch (operation.kind) {
    case 'up':
      await daemon.up(operation.stack, operation.variant, optionsOf(operation))
      return undefined
    case 'down':
      await daemon.down(operation.stack, {
        volumes: operation.volumes,
        removeOrphans: operation.removeOrphans,
      })
      return undefined
    case 'lifecycle': {
      const { stack, action, services } = operation
      const request = { action, timeoutSeconds: 1, ...(services === undefined ? {} : { services }) }
      await collect(daemon.client.lifecycle(stack, request))
      return undefined
    }
    case 'kill-process': {
      const running = (await daemon.client.containers({})).filter(({ pid }) => pid !== undefined)
      const victim = running[operation.victim % running.length]
      if (victim === undefined) return undefined
      const fault = killedProcess(victim)
      return (await killIfThere(victim.pid ?? 0)) ? fault : undefined
    }
    case 'delete-veth':
    case 'flush-firewall':
    case 'edit-limit':
    case 'fill-disk':
      return tamper(daemon, operation)
  }
}

export function optionsOf({
  scale,
  forceRecreate,
}: Operation & { readonly kind: 'up' }): ReturnType<typeof upRequest>['options'] {
  return {
    timeoutSeconds: 1,
    ...(scale === undefined ? {} : { scale: { web: scale } }),
    ...(forceRecreate === undefined ? {} : { forceRecreate }),
  }
}

/** @returns false when it has just ended by itself */
/** A signal takes its time: resolves when the process has ended. */
async function killIfThere(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    return false
  }
  await eventually('its end', () => !isAlive(pid))
  return true
}
