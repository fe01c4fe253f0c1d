/** Spans: what was done, when, as a part of what, and how it ended (OpenTelemetry: trace/api). */
import { randomBytes } from 'node:crypto'
import { TsstackError } from '../../errors.ts'
import { currentTraceContext, withTraceContext } from './trace-context.ts'

export interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  /** Nanoseconds since 1970. */
  readonly startNanos: bigint
  readonly endNanos: bigint
  readonly attributes: Readonly<Record<string, string | number>>
  /** Spans that had to end before. */
  readonly links: readonly string[]
  /** Why it failed; absent: it did not. */
  readonly error?: string
}

export interface SpanOptions {
  readonly name: string
  readonly attributes: Readonly<Record<string, string | number>>
  /** Ids of spans of the same trace. */
  readonly links?: readonly string[]
  /** Default: a new one. */
  readonly spanId?: string
}

export interface Tracer {
  /** Runs the work as a part of the current span, or of a trace of its own. */
  span<T>(options: SpanOptions, work: () => Promise<T>): Promise<T>
}

/** Time that goes on evenly, whatever is done to the clock meanwhile. */
const EPOCH_NANOS = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint()

export function newSpanId(): string {
  return randomBytes(8).toString('hex')
}

/** @param emit takes spans that have ended */
export function createTracer(emit: (span: Span) => void): Tracer {
  return {
    async span({ name, attributes, links = [], spanId = newSpanId() }, work) {
      const parent = currentTraceContext()
      if (parent?.sampled === false) return work()
      const traceId = parent?.traceId ?? randomBytes(16).toString('hex')
      const startNanos = EPOCH_NANOS + process.hrtime.bigint()
      const finish = (error?: string): void => {
        const endNanos = EPOCH_NANOS + process.hrtime.bigint()
        const outcome = error === undefined ? {} : { error }
        const parentSpanId = parent?.spanId
        emit({
          traceId,
          spanId,
          parentSpanId,
          name,
          startNanos,
          endNanos,
          attributes,
          links,
          ...outcome,
        })
      }
      try {
        const result = await withTraceContext({ traceId, spanId, sampled: true }, work)
        finish()
        return result
      } catch (error) {
        finish(error instanceof TsstackError ? error.message : String(error))
        throw error
      }
    },
  }
}

/** Where nobody collects traces. */
export const noTracer: Tracer = { span: (_options, work) => work() }
