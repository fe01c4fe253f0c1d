import { describe, expect, test } from 'vitest'
import type { ContainerSummary, EngineEvent, StatsSample } from '../../src/api/types.ts'
import { formatEvent } from '../../src/cli/commands/events.ts'
import { formatCheck } from '../../src/cli/commands/doctor.ts'
import { toImageRows } from '../../src/cli/commands/images.ts'
import { formatPorts, formatPsTable, toPsRow } from '../../src/cli/commands/ps.ts'
import { formatStats } from '../../src/cli/commands/stats.ts'
import { formatTop } from '../../src/cli/commands/top.ts'
import { formatRows } from '../../src/cli/format-option.ts'
import { splitReference } from '../../src/cli/image-reference.ts'
import { ellipsis, humanBytes, humanDuration, humanSize } from '../../src/cli/human.ts'
import { createStyle } from '../../src/cli/style.ts'
import { formatTable } from '../../src/cli/table.ts'

const NOW_MS = Date.parse('2026-01-02T13:00:00Z')

function container(change: Partial<ContainerSummary> = {}): ContainerSummary {
  return {
    id: '0123456789abcdef0123456789abcdef',
    name: 'hello-front-1',
    stack: 'hello',
    service: 'front',
    number: 1,
    oneoff: false,
    image: 'host:node',
    imageId: 'sha256:aabbccddeeff00112233',
    command: 'node /app/server.mjs --port 80',
    state: 'running',
    health: 'healthy',
    status: 'Up 3 minutes (healthy)',
    createdAt: '2026-01-02T12:57:00Z',
    ports: [{ hostIp: '127.0.0.1', published: 8080, target: 80, protocol: 'tcp' }],
    mounts: [
      { type: 'volume', source: 'hello_data' },
      { type: 'bind', source: '/srv/hello/configuration' },
    ],
    networks: { hello_default: { ipv4: '10.0.0.2', mac: '02:00:00:00:00:01', aliases: ['front'] } },
    labels: { 'com.docker.compose.project': 'hello' },
    restartCount: 0,
    ...change,
  }
}

describe('formatPsTable()', () => {
  test("is Docker Compose's table", () => {
    const stopped = container({
      name: 'hello-worker-1',
      service: 'worker',
      image: 'host:sh',
      command: 'sh',
      status: 'Exited (0) 2 seconds ago',
      ports: [],
    })
    expect(formatPsTable([container(), stopped], { nowMs: NOW_MS, truncate: true })).toBe(
      [
        'NAME             IMAGE       COMMAND                  SERVICE   CREATED         STATUS                     PORTS',
        'hello-front-1    host:node   "node /app/server.mj…"   front     3 minutes ago   Up 3 minutes (healthy)     127.0.0.1:8080->80/tcp',
        'hello-worker-1   host:sh     "sh"                     worker    3 minutes ago   Exited (0) 2 seconds ago',
        '',
      ].join('\n'),
    )
  })

  test('lets no control character of a container through', () => {
    const nasty = container({ command: 'a\u001b[2Jb', name: 'x\ny' })
    const table = formatPsTable([nasty], { nowMs: NOW_MS, truncate: true })
    expect(table).not.toContain('\u001b')
    expect(table).not.toContain('x\ny')
  })
})

test("toPsRow() has Docker Compose's fields", () => {
  const row = toPsRow(container(), { nowMs: NOW_MS, truncate: true })
  expect(row).toMatchObject({
    ID: '0123456789ab',
    Name: 'hello-front-1',
    Service: 'front',
    State: 'running',
    Health: 'healthy',
    ExitCode: 0,
    LocalVolumes: '1',
    Mounts: 'hello_data,/srv/hello/con…',
    Publishers: [{ URL: '127.0.0.1', TargetPort: 80, PublishedPort: 8080, Protocol: 'tcp' }],
  })
})

test.each([
  [[], ''],
  [[{ hostIp: '', published: 0, target: 443, protocol: 'tcp' }], '443/tcp'],
  [
    [
      { hostIp: '::', published: 53, target: 53, protocol: 'udp' },
      { hostIp: '0.0.0.0', published: 53, target: 53, protocol: 'udp' },
    ],
    '0.0.0.0:53->53/udp, [::]:53->53/udp',
  ],
  [
    [
      ...[8000, 8002, 8001].map((port) => ({
        ...{ hostIp: '127.0.0.1', published: port, target: port, protocol: 'tcp' as const },
      })),
      ...[90, 91].map((target) => ({
        ...{ hostIp: '', published: 0, target, protocol: 'tcp' as const },
      })),
      { hostIp: '127.0.0.1', published: 8080, target: 80, protocol: 'tcp' },
    ],
    '90-91/tcp, 127.0.0.1:8000-8002->8000-8002/tcp, 127.0.0.1:8080->80/tcp',
  ],
])('formatPorts() of %j is "%s"', (ports, text) => {
  expect(formatPorts(ports)).toBe(text)
})

describe('formatTable()', () => {
  const rows = [['shop-frontend-1', 'registry.example/team/frontend:1.2.3', 'Up 3 minutes']]

  test('fits a terminal by cutting the widest columns, the first last', () => {
    const table = formatTable(['NAME', 'IMAGE', 'STATUS'], rows, 50)
    const lines = table.split('\n')
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(50)
    expect(lines[1]).toBe('shop-frontend-1   registry.example…   Up 3 minutes')
  })

  test('stays whole where nobody says how wide', () => {
    expect(formatTable(['NAME', 'IMAGE', 'STATUS'], rows)).toContain(
      'frontend:1.2.3   Up 3 minutes',
    )
  })
})

describe('formatRows()', () => {
  const rows = [
    { Name: 'a', Count: 1 },
    { Name: 'b', Count: 2 },
  ]

  test('prints objects a line, or one array', () => {
    expect(formatRows('json', { rows, jsonLines: true })).toBe(
      '{"Name":"a","Count":1}\n{"Name":"b","Count":2}\n',
    )
    expect(formatRows('json', { rows, jsonLines: false })).toBe(
      '[{"Name":"a","Count":1},{"Name":"b","Count":2}]\n',
    )
  })

  test('fills templates', () => {
    expect(formatRows('{{.Name}}={{ .Count }}', { rows, jsonLines: true })).toBe('a=1\nb=2\n')
    expect(formatRows('{{json .Name}}', { rows, jsonLines: true })).toBe('"a"\n"b"\n')
    expect(formatRows('table {{.Name}}\\t{{.Count}}', { rows, jsonLines: true })).toBe(
      'NAME   COUNT\na      1\nb      2\n',
    )
  })

  test('names the fields when one is unknown', () => {
    expect(() => formatRows('{{.Nam}}', { rows, jsonLines: true })).toThrow(
      'Cannot use field ".Nam" in --format',
    )
    expect(() => formatRows('{{if .Name}}', { rows, jsonLines: true })).toThrow(
      'Cannot use this --format: {{if}} without {{end}}',
    )
    expect(() => formatRows('jsn', { rows, jsonLines: true })).toThrow('Cannot use --format "jsn"')
  })

  test("leaves the command's own table to it", () => {
    expect(formatRows('table', { rows, jsonLines: true })).toBeUndefined()
  })
})

test('formatTable() aligns by letters, not by bytes', () => {
  expect(
    formatTable(
      ['A', 'B'],
      [
        ['é…', '1'],
        ['xyz', '2'],
      ],
    ),
  ).toBe('A     B\né…    1\nxyz   2\n')
})

test.each([
  [500, 'Less than a second'],
  [1500, '1 second'],
  [59_000, '59 seconds'],
  [60_000, 'About a minute'],
  [45 * 60_000, '45 minutes'],
  [60 * 60_000, 'About an hour'],
  [47 * 3_600_000, '47 hours'],
  [3 * 86_400_000, '3 days'],
  [20 * 86_400_000, '2 weeks'],
  [100 * 86_400_000, '3 months'],
  [800 * 86_400_000, '2 years'],
])('humanDuration(%d) is "%s"', (ms, text) => {
  expect(humanDuration(ms)).toBe(text)
})

test('humanSize() is decimal, humanBytes() binary', () => {
  expect([humanSize(0), humanSize(999), humanSize(1000), humanSize(1_210_000)]).toEqual([
    '0B',
    '999B',
    '1kB',
    '1.21MB',
  ])
  expect([humanBytes(0), humanBytes(1024), humanBytes(64 << 20)]).toEqual(['0B', '1KiB', '64MiB'])
})

test('ellipsis() keeps whole letters', () => {
  expect(ellipsis('abcdef', 4)).toBe('abc…')
  expect(ellipsis('😀😀', 2)).toBe('😀😀')
})

test("formatStats() is Docker's table", () => {
  const sample: StatsSample = {
    id: '0123456789abcdef',
    name: 'hello-front-1',
    service: 'front',
    cpuPercent: 12.345,
    cpuTotalNanos: 1,
    memoryBytes: 32 << 20,
    memoryLimitBytes: 64 << 20,
    networkReceivedBytes: 1000,
    networkSentBytes: 0,
    blockReadBytes: 0,
    blockWrittenBytes: 4096,
    pids: 7,
  }
  expect(formatStats([sample])).toBe(
    [
      'CONTAINER ID   NAME            CPU %    MEM USAGE / LIMIT   MEM %    NET I/O    BLOCK I/O    PIDS',
      '0123456789ab   hello-front-1   12.35%   32MiB / 64MiB       50.00%   1kB / 0B   0B / 4.1kB   7',
      '',
    ].join('\n'),
  )
})

test('formatTop() puts the command last, whatever the order of titles', () => {
  const top = { titles: ['PID', 'CMD', 'TIME'], processes: [['1', 'node', '00:00']] }
  expect(formatTop([{ container: container(), top }])).toBe(
    'SERVICE   #   PID   TIME    CMD\nfront     1   1     00:00   node\n',
  )
  expect(formatTop([])).toBe('')
})

test.each([
  ['nginx', ['nginx', 'latest']],
  ['nginx:1.27', ['nginx', '1.27']],
  ['localhost:5000/shop/api', ['localhost:5000/shop/api', 'latest']],
  ['localhost:5000/shop/api:2@sha256:00', ['localhost:5000/shop/api', '2']],
  ['host:sh,coreutils', ['host:sh,coreutils', '']],
])('splitReference("%s") is %j', (reference, parts) => {
  expect(splitReference(reference)).toEqual(parts)
})

test('toImageRows() finds size and age by the image of the container', () => {
  const image = {
    id: 'sha256:aabbccddeeff00112233',
    reference: 'host:node',
    layers: 1,
    sizeBytes: 5,
    createdAt: '2026-01-01T00:00:00Z',
  }
  expect(toImageRows([container()], [image])).toMatchObject([
    { ContainerName: 'hello-front-1', Repository: 'host:node', Tag: '', Size: 5 },
  ])
})

test("formatEvent() is Docker Compose's line", () => {
  const event: EngineEvent = {
    type: 'container',
    action: 'die',
    stack: 'hello',
    service: 'front',
    id: '0123',
    time: '2026-01-02T13:23:37.123456789Z',
    attributes: { name: 'hello-front-1', exitCode: '0' },
  }
  expect(formatEvent(event)).toBe(
    '2026-01-02 13:23:37.123456 container die 0123 (exitCode=0, name=hello-front-1)',
  )
  expect(formatEvent({ ...event, attributes: {} })).toBe(
    '2026-01-02 13:23:37.123456 container die 0123',
  )
})

test('formatCheck() shows the remedy of what is not well', () => {
  const style = createStyle(false)
  expect(
    formatCheck(
      { name: 'overlay', status: 'missing', detail: 'no overlayfs', remedy: 'modprobe overlay' },
      style,
    ),
  ).toBe('missing  overlay: no overlayfs\n         remedy: modprobe overlay\n')
  expect(formatCheck({ name: 'root', status: 'ok', detail: 'uid 0' }, style)).toBe(
    'ok       root: uid 0\n',
  )
})
