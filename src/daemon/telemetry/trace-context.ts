/**
 * Which trace a request belongs to: its `traceparent` (W3C Trace Context, level 1), known to everything that is done for
 * it without being passed on by hand.
 */
import { AsyncLocalStorage } from 'node:async_hooks'

export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** 16 hexadecimal digits; of the span that what is done belongs to. */
  readonly spanId: string
  /** false: whoever began the trace does not want it. */
  readonly sampled: boolean
}

const TRACEPARENT =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/
const SAMPLED = 1

const current = new AsyncLocalStorage<TraceContext | undefined>()

/** undefined when it is none, which begins a trace of its own. */
export function parseTraceparent(text: string | undefined): TraceContext | undefined {
  const [, traceId, spanId, flags = '00'] = TRACEPARENT.exec(text?.trim() ?? '') ?? []
  if (traceId === undefined || spanId === undefined) return undefined
  return { traceId, spanId, sampled: (parseInt(flags, 16) & SAMPLED) !== 0 }
}

export function withTraceContext<T>(context: TraceContext | undefined, work: () => T): T {
  return current.run(context, work)
}

export function currentTraceContext(): TraceContext | undefined {
  return current.getStore()
}
