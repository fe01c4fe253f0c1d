/** Metrics as text: Prometheus' exposition format 0.0.4, or OpenMetrics 1.0 for who asks for it. Pure. */

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  /** `_bucket`, `_sum`, `_count` of a histogram. */
  readonly suffix?: string
}

export interface MetricFamily {
  /** Counters with their `_total`. */
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly samples: readonly Sample[]
}

export const PROMETHEUS_TEXT = 'text/plain; version=0.0.4; charset=utf-8'
export const OPEN_METRICS_TEXT = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

/** Families without a sample are left out. */
export function formatMetrics(families: readonly MetricFamily[], openMetrics: boolean): string {
  const texts = families
    .filter(({ samples }) => samples.length > 0)
    .map((family) => formatFamily(family, openMetrics))
  return `${texts.join('')}${openMetrics ? '# EOF\n' : ''}`
}

function formatFamily({ name, help, type, samples }: MetricFamily, openMetrics: boolean): string {
  // OpenMetrics names the family of a counter without the suffix of its samples.
  const family = openMetrics && type === 'counter' ? name.replace(/_total$/, '') : name
  const lines = samples.map(
    ({ labels, value, suffix = '' }) =>
      `${name}${suffix}${formatLabels(labels)} ${formatValue(value)}\n`,
  )
  return `# HELP ${family} ${escapeHelp(help)}\n# TYPE ${family} ${type}\n${lines.join('')}`
}

function formatLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeValue(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function formatValue(value: number): string {
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  return String(value)
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

/** Values come from stack files and images: they must not end their line. */
function escapeValue(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"')
}
