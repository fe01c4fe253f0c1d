/** Metrics and traces of a real daemon: scraped, and sent to a collector. */
import { execFileSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { once } from 'node:events'
import {
  createServer,
  request,
  type IncomingMessage,
  type RequestOptions,
  type Server,
} from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'
import { within } from '../network/sandbox.ts'

const STACK = 'measured'
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'

interface OtlpSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly links: readonly { readonly spanId: string }[]
  readonly status: { readonly code: number }
}

let daemon: DaemonFixture
let collector: Server
const spans: OtlpSpan[] = []

beforeAll(async () => {
  daemon = await startDaemonFixture({
    environment: {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318',
      TSSTACK_METRICS_ADDRESS: '9323',
    },
  })
  collector = await startCollector()
})
afterAll(async () => {
  collector.close()
  await daemon.close()
})

/** Takes spans as a collector does, in the daemon's network namespace: a socket keeps the one that it was made in. */
async function startCollector(): Promise<Server> {
  const server = createServer((incoming, response) => {
    let body = ''
    incoming.setEncoding('utf8').on('data', (text: string) => {
      body += text
    })
    incoming.on('end', () => {
      const { resourceSpans } = JSON.parse(body) as {
        resourceSpans: { scopeSpans: { spans: OtlpSpan[] }[] }[]
      }
      spans.push(
        ...resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)),
      )
      response.writeHead(200).end('{}')
    })
  })
  await inNetns(async () => {
    server.listen(4318, '127.0.0.1')
    await once(server, 'listening')
  })
  return server
}

/** Runs work in the network namespace that is the daemon's host. */
async function inNetns<T>(work: () => Promise<T>): Promise<T> {
  const fd = openSync(daemon.netns, 'r')
  try {
    return await within(fd, work)
  } finally {
    closeSync(fd)
  }
}

async function read(options: RequestOptions): Promise<{ type: string; text: string }> {
  const [response] = (await once(request(options).end(), 'response')) as [IncomingMessage]
  const text = Buffer.concat((await response.toArray()) as Buffer[]).toString()
  return { type: response.headers['content-type'] ?? '', text }
}

/** The value of the first sample of a metric whose labels have this text in them. */
function sample(text: string, name: string, label: string): number {
  const line = text.split('\n').find((one) => one.startsWith(`${name}{`) && one.includes(label))
  return Number(line?.split(' ').at(-1))
}

test('an up is a trace of the caller: a span for the plan, one for each operation, linked to what it waited for', async () => {
  const traceparent = `00-${TRACE}-${PARENT}-01`
  process.env['TRACEPARENT'] = traceparent
  try {
    await daemon.up(STACK, {
      services: {
        a: {
          image: 'host:sh,coreutils',
          command: ['sleep', '1000'],
          stop_grace_period: '0s',
          networks: { default: null },
        },
      },
      networks: { default: { name: `${STACK}_default` } },
    })
  } finally {
    delete process.env['TRACEPARENT']
  }
  await eventually('the spans', () => spans.some(({ name }) => name === `reconcile ${STACK}`))
  const plan = spans.find(({ name }) => name === `reconcile ${STACK}`)
  expect(plan).toMatchObject({ traceId: TRACE, parentSpanId: PARENT, status: { code: 1 } })
  const start = spans.find(({ name }) => name === 'start-container')
  const create = spans.find(({ name }) => name === 'create-container')
  for (const span of [start, create])
    expect(span).toMatchObject({ traceId: TRACE, parentSpanId: plan?.spanId })
  expect(start?.links.map(({ spanId }) => spanId)).toContain(create?.spanId)
})

test('metrics have the names of cAdvisor, and what is ours', async () => {
  const { type, text } = await read({ socketPath: daemon.socket, path: '/metrics' })
  expect(type).toMatch(/^text\/plain; version=0\.0\.4/)
  const project = `container_label_com_docker_compose_project="${STACK}"`
  expect(sample(text, 'container_memory_usage_bytes', project)).toBeGreaterThan(0)
  expect(sample(text, 'container_cpu_usage_seconds_total', project)).toBeGreaterThan(0)
  expect(sample(text, 'container_network_receive_bytes_total', project)).toBeGreaterThanOrEqual(0)
  expect(sample(text, 'tsstack_containers', `stack="${STACK}",state="running"`)).toBe(1)
  expect(sample(text, 'tsstack_stack_condition', `stack="${STACK}",condition="Ready"`)).toBe(1)
  expect(sample(text, 'tsstack_stack_condition', `stack="${STACK}",condition="Stalled"`)).toBe(0)
  expect(sample(text, 'tsstack_service_ready', `stack="${STACK}",service="a"`)).toBe(1)
  expect(sample(text, 'tsstack_stack_revision', `stack="${STACK}"`)).toBe(1)
  expect(sample(text, 'tsstack_stack_drift', `stack="${STACK}"`)).toBe(0)
  expect(sample(text, 'tsstack_reconcile_duration_seconds_count', 'result="success"')).toBe(1)
  expect(sample(text, 'tsstack_operations_total', 'kind="start-container",result="success"')).toBe(
    1,
  )
  expect(sample(text, 'tsstack_events_total', 'type="container",action="start"')).toBe(1)
  for (const line of text.split('\n').filter((one) => one !== '' && !one.startsWith('#')))
    expect(line).toMatch(/^[a-z_]+(\{([a-z_]+="([^"\\]|\\.)*",?)+\})? [-+0-9.eInf]+$/)
})

test('what the loop repairs is a trace, too: a span for each difference', async () => {
  const [network] = await daemon.client.networks(STACK)
  execFileSync('nsenter', [`--net=${daemon.netns}`, 'ip', 'link', 'del', network?.bridge ?? ''])
  const repair = await eventually('the spans', () =>
    spans.find(({ name }) => name === `repair ${STACK}`),
  )
  const parts = spans.filter(({ parentSpanId }) => parentSpanId === repair.spanId)
  expect(parts.map(({ name }) => name)).toContain('repair network')
  expect(parts.every(({ status }) => status.code === 1)).toBe(true)
})

test('metrics are served on loopback, nothing else is', async () => {
  const scraped = await inNetns(() =>
    read({
      port: 9323,
      host: '127.0.0.1',
      path: '/metrics',
      headers: { accept: 'application/openmetrics-text' },
    }),
  )
  expect(scraped.type).toMatch(/^application\/openmetrics-text/)
  expect(scraped.text.endsWith('# EOF\n')).toBe(true)
  expect(
    (await inNetns(() => read({ port: 9323, host: '127.0.0.1', path: '/v1/version' }))).text,
  ).toBe('')
  await daemon.down(STACK)
})
