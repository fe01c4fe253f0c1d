/**
 * Sends spans to an OpenTelemetry collector: OTLP over HTTP as JSON (opentelemetry-proto, docs/specification.md), by
 * the variables of the OpenTelemetry specification alone. A collector that is slow or away costs spans, never the daemon.
 */
import { log } from '../../log.ts'
import { VERSION } from '../../version.ts'
import type { Span } from './tracer.ts'

export interface OtlpSettings {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly resource: Readonly<Record<string, string>>
}

const MAX_QUEUED = 2048
const MAX_BATCH = 512
const BATCH_DELAY_MS = 1000
const DEFAULT_TIMEOUT_MS = 10_000
const SPAN_KIND_INTERNAL = 1
const STATUS = { ok: 1, error: 2 } as const

/** undefined where nobody wants traces, or they are wanted in a form that is not spoken here. */
export function readOtlpSettings(environment: NodeJS.ProcessEnv): OtlpSettings | undefined {
  const value = (name: string): string | undefined => {
    const text =
      environment[`OTEL_EXPORTER_OTLP_TRACES_${name}`] ?? environment[`OTEL_EXPORTER_OTLP_${name}`]
    return text === '' ? undefined : text
  }
  if (environment['OTEL_SDK_DISABLED'] === 'true') return undefined
  if ((environment['OTEL_TRACES_EXPORTER'] ?? 'otlp') !== 'otlp') return undefined
  const own = environment['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] ?? ''
  const base = environment['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? ''
  const url = own !== '' ? own : base === '' ? '' : `${base.replace(/\/$/, '')}/v1/traces`
  if (!URL.canParse(url)) return undefined
  const timeoutMs = Number(value('TIMEOUT'))
  return {
    url,
    headers: parsePairs(value('HEADERS') ?? ''),
    timeoutMs: timeoutMs > 0 ? timeoutMs : DEFAULT_TIMEOUT_MS,
    resource: {
      'service.name': 'tsstack',
      'service.version': VERSION,
      ...parsePairs(environment['OTEL_RESOURCE_ATTRIBUTES'] ?? ''),
      ...(environment['OTEL_SERVICE_NAME']
        ? { 'service.name': environment['OTEL_SERVICE_NAME'] }
        : {}),
    },
  }
}

/** `a=1,b=x%20y` (W3C Baggage); what can't be decoded stays as it is. */
function parsePairs(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split(',').flatMap((pair) => {
      const [name = '', value] = pair.split(/=(.*)/s).map((part) => part.trim())
      return name === '' || value === undefined ? [] : [[name, decoded(value)] as const]
    }),
  )
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** @returns takes spans, and sends them in batches */
export function createOtlpExporter(settings: OtlpSettings): (span: Span) => void {
  let queue: Span[] = []
  let timer: NodeJS.Timeout | undefined
  const flush = async (): Promise<void> => {
    const batch = queue.slice(0, MAX_BATCH)
    queue = queue.slice(MAX_BATCH)
    await send(settings, batch).catch((error: unknown) => {
      log.warn('spans could not be exported', { url: settings.url, spans: batch.length, error })
    })
    timer = undefined
    schedule()
  }
  const schedule = (): void => {
    if (timer !== undefined || queue.length === 0) return
    timer = setTimeout(() => void flush(), BATCH_DELAY_MS)
    timer.unref()
  }
  return (span) => {
    if (queue.length < MAX_QUEUED) queue.push(span)
    schedule()
  }
}

/** @throws {Error} unless the collector takes them */
async function send(settings: OtlpSettings, spans: readonly Span[]): Promise<void> {
  const response = await fetch(settings.url, {
    method: 'POST',
    headers: { ...settings.headers, 'content-type': 'application/json' },
    body: JSON.stringify(toOtlp(spans, settings.resource)),
    signal: AbortSignal.timeout(settings.timeoutMs),
    redirect: 'error',
  })
  await response.body?.cancel()
  if (!response.ok) throw new Error(`the collector answers ${response.status}`)
}

/** ExportTraceServiceRequest, in the JSON of Protocol Buffers: ids in hexadecimal, 64-bit integers as text. */
export function toOtlp(spans: readonly Span[], resource: Readonly<Record<string, string>>): object {
  return {
    resourceSpans: [
      {
        resource: { attributes: toAttributes(resource) },
        scopeSpans: [
          { scope: { name: 'tsstack', version: VERSION }, spans: spans.map(toOtlpSpan) },
        ],
      },
    ],
  }
}

function toOtlpSpan(span: Span): object {
  const { traceId, spanId, parentSpanId, name, error } = span
  return {
    traceId,
    spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    name,
    kind: SPAN_KIND_INTERNAL,
    startTimeUnixNano: String(span.startNanos),
    endTimeUnixNano: String(span.endNanos),
    attributes: toAttributes(span.attributes),
    links: span.links.map((link) => ({ traceId, spanId: link })),
    status: error === undefined ? { code: STATUS.ok } : { code: STATUS.error, message: error },
  }
}

function toAttributes(record: Readonly<Record<string, string | number>>): object[] {
  return Object.entries(record).map(([key, value]) => ({
    key,
    value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value },
  }))
}
