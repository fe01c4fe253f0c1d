/**
 * The wire of reconciliation: how a stack is, and what people did to it by hand.
 *
 *   GET  /v1/stacks/:stack/status                StackStatus
 *   GET  /v1/stacks/:stack/status?follow=true    stream of StackStatus, one at once and one after each change
 *   POST /v1/stacks/:stack/suspend               SuspendRequest -> 204
 *   POST /v1/stacks/:stack/resume                204
 */

export type ConditionType = 'Ready' | 'Progressing' | 'Degraded' | 'Stalled'

/** In the words of Kubernetes' conditions. */
export interface Condition {
  readonly type: ConditionType
  readonly status: 'True' | 'False' | 'Unknown'
  /** One word in CamelCase, for programs. */
  readonly reason: string
  readonly message: string
  /** Number of the revision that it is about. */
  readonly observedRevision?: number
}

/** What a person did by hand, against what is declared: it is kept until it ends. */
export interface Override {
  readonly kind: 'stopped' | 'scaled'
  readonly author: string
  /** RFC 3339. */
  readonly since: string
  readonly until?: string
  readonly replicas?: number
  /** Why, in their own words. */
  readonly reason?: string
}

export interface Suspension {
  readonly author: string
  /** RFC 3339. */
  readonly since: string
  readonly until?: string
  readonly reason?: string
}

/** For how long what is done by hand is to stay, and why. */
export interface ByHand {
  /** Until somebody undoes it, when absent. */
  readonly forSeconds?: number
  /** A line of text, for those who wonder. */
  readonly reason?: string
}

export interface ServiceStatus {
  readonly name: string
  readonly running: number
  readonly desired: number
  readonly conditions: readonly Condition[]
  readonly override?: Override
}

export type ReconcileMode = 'repair' | 'observe' | 'off'

export interface StackStatus {
  readonly stack: string
  readonly revision?: number
  readonly mode: ReconcileMode
  readonly suspended?: Suspension
  readonly conditions: readonly Condition[]
  readonly services: readonly ServiceStatus[]
  /** What differs and is not repaired, or not yet. */
  readonly drift: readonly {
    readonly kind: string
    readonly subject: string
    readonly difference: string
  }[]
  /** RFC 3339: of the last whole look. */
  readonly lookedAt?: string
  /** Of the last repair that failed, and when it is tried again. */
  readonly lastError?: string
  readonly retryAt?: string
}

export type SuspendRequest = ByHand
