import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { formatMetrics } from '../../src/daemon/telemetry/exposition.ts'
import { readOtlpSettings, toOtlp } from '../../src/daemon/telemetry/otlp-exporter.ts'
import { createReconcileMetrics } from '../../src/daemon/telemetry/reconcile-metrics.ts'
import { parseTraceparent, withTraceContext } from '../../src/daemon/telemetry/trace-context.ts'
import { createTracer, type Span } from '../../src/daemon/telemetry/tracer.ts'
import { parsePressure } from '../../src/engine/cgroup/stats-v2.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'

describe('formatMetrics()', () => {
  const family = {
    name: 'things_total',
    help: 'A\nhelp \\ text.',
    type: 'counter',
    samples: [{ labels: { name: 'a "b"\n\\c' }, value: 3 }],
  } as const

  test('escapes what images and stack files name', () => {
    expect(formatMetrics([family], false)).toBe(
      '# HELP things_total A\\nhelp \\\\ text.\n# TYPE things_total counter\nthings_total{name="a \\"b\\"\\n\\\\c"} 3\n',
    )
  })

  test('names a counter for OpenMetrics without its suffix, and ends', () => {
    const text = formatMetrics([family, { ...family, name: 'none_total', samples: [] }], true)
    expect(text).toContain('# TYPE things counter\nthings_total{')
    expect(text.endsWith('# EOF\n')).toBe(true)
    expect(text).not.toContain('none')
  })
})

test('durations of plans are counted in buckets that add up', () => {
  const metrics = createReconcileMetrics()
  for (const seconds of [0.001, 0.3, 1000]) metrics.plan('shop', 'success', seconds)
  const [durations] = metrics.families()
  const value = (suffix: string, le?: string): number | undefined =>
    durations?.samples.find(
      (sample) => sample.suffix === suffix && (le === undefined || sample.labels['le'] === le),
    )?.value
  expect(value('_bucket', '0.005')).toBe(1)
  expect(value('_bucket', '0.5')).toBe(2)
  expect(value('_bucket', '300')).toBe(2)
  expect(value('_bucket', '+Inf')).toBe(3)
  expect(value('_count')).toBe(3)
  expect(value('_sum')).toBeCloseTo(1000.301)
})

test.each([
  [`00-${TRACE}-${PARENT}-01`, { traceId: TRACE, spanId: PARENT, sampled: true }],
  [`00-${TRACE}-${PARENT}-00`, { traceId: TRACE, spanId: PARENT, sampled: false }],
  [`cc-${TRACE}-${PARENT}-01-more`, { traceId: TRACE, spanId: PARENT, sampled: true }],
  [`ff-${TRACE}-${PARENT}-01`, undefined],
  [`00-${'0'.repeat(32)}-${PARENT}-01`, undefined],
  [`00-${TRACE.toUpperCase()}-${PARENT}-01`, undefined],
  ['', undefined],
])('parseTraceparent(%j)', (text, context) => {
  expect(parseTraceparent(text)).toEqual(context)
})

describe('spans', () => {
  async function traced(traceparent: string | undefined): Promise<Span[]> {
    const spans: Span[] = []
    const tracer = createTracer((span) => spans.push(span))
    await withTraceContext(parseTraceparent(traceparent), () =>
      tracer.span({ name: 'outer', attributes: {} }, async () => {
        await delay(1)
        const failing = tracer.span({ name: 'inner', attributes: { n: 1 } }, () =>
          Promise.reject(new Error('why')),
        )
        await failing.catch(() => undefined)
      }),
    )
    return spans
  }

  test('belong to the span around them, and to the trace of the caller', async () => {
    const [inner, outer] = await traced(`00-${TRACE}-${PARENT}-01`)
    expect(outer).toMatchObject({ name: 'outer', traceId: TRACE, parentSpanId: PARENT })
    expect(inner).toMatchObject({
      traceId: TRACE,
      parentSpanId: outer?.spanId,
      error: 'Error: why',
    })
    expect(inner?.startNanos).toBeGreaterThanOrEqual(outer?.startNanos ?? 0n)
    expect(outer?.endNanos).toBeGreaterThan(outer?.startNanos ?? 0n)
  })

  test('are not made when the caller does not want them', async () => {
    expect(await traced(`00-${TRACE}-${PARENT}-00`)).toEqual([])
  })

  test('of nobody begin a trace', async () => {
    const [, outer] = await traced(undefined)
    expect(outer?.parentSpanId).toBeUndefined()
    expect(outer?.traceId).toMatch(/^[0-9a-f]{32}$/)
  })

  test('become the JSON of OTLP', async () => {
    const [inner] = await traced(undefined)
    const text = JSON.stringify(toOtlp(inner === undefined ? [] : [inner], { 'service.name': 'x' }))
    expect(JSON.parse(text)).toMatchObject({
      resourceSpans: [
        {
          resource: { attributes: [{ key: 'service.name', value: { stringValue: 'x' } }] },
          scopeSpans: [
            {
              spans: [
                {
                  kind: 1,
                  startTimeUnixNano: String(inner?.startNanos),
                  attributes: [{ key: 'n', value: { intValue: '1' } }],
                  status: { code: 2, message: 'Error: why' },
                },
              ],
            },
          ],
        },
      ],
    })
  })
})

test.each([
  [{}, undefined],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://h:4318/' }, 'http://h:4318/v1/traces'],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://h/x' }, 'http://h/x'],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://h', OTEL_TRACES_EXPORTER: 'none' }, undefined],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://h', OTEL_SDK_DISABLED: 'true' }, undefined],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'nonsense' }, undefined],
])('readOtlpSettings(%j) sends to %s', (environment, url) => {
  expect(readOtlpSettings(environment)?.url).toBe(url)
})

test('parsePressure() reads totals', () => {
  const text =
    'some avg10=1.00 avg60=0.00 avg300=0.00 total=1234\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=56\n'
  expect(parsePressure(text)).toEqual({ someMicros: 1234, fullMicros: 56 })
  expect(parsePressure('')).toEqual({ someMicros: 0, fullMicros: 0 })
})
