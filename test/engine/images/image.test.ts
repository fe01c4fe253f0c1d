import { expect, test } from 'vitest'
import {
  formatImageConfig,
  parseImageConfig,
  type ParsedConfig,
} from '../../../src/engine/images/image.ts'

const DIFF_ID = `sha256:${'0'.repeat(64)}`

const FULL: ParsedConfig = {
  architecture: 'amd64',
  os: 'linux',
  created: '2026-01-02T03:04:05Z',
  layers: [DIFF_ID],
  config: {
    env: { PATH: '/bin', EMPTY: '', EQUALS: 'a=b' },
    entrypoint: ['/init'],
    cmd: ['run'],
    workingDir: '/srv',
    user: 'app:app',
    exposedPorts: ['80/tcp'],
    volumes: ['/data'],
    labels: { a: 'b' },
    stopSignal: 'SIGQUIT',
    healthcheck: { test: ['CMD', 'true'], interval: 1_000_000_000, retries: 3 },
    shell: ['/bin/sh', '-c'],
  },
}

test('parseImageConfig() reads back what formatImageConfig() writes', () => {
  expect(parseImageConfig(Buffer.from(formatImageConfig(FULL)))).toEqual(FULL)
})

test('parseImageConfig() takes nulls, as Docker writes them, for absent', () => {
  const text = `{"config":{"Env":null,"Cmd":null,"Entrypoint":null,"Volumes":null,"User":"","Healthcheck":null},
    "rootfs":{"diff_ids":["${DIFF_ID}"]}}`
  expect(parseImageConfig(Buffer.from(text)).config).toEqual({
    env: {},
    exposedPorts: [],
    volumes: [],
    labels: {},
  })
})

test.each([
  ['no JSON', '{'],
  ['a list', '[]'],
  ['a layer that is no digest', '{"rootfs":{"diff_ids":["../x"]}}'],
  ['a number for text', '{"config":{"User":5}}'],
  ['a NUL in the environment', '{"config":{"Env":["A=\\u0000"]}}'],
  ['a negative interval', '{"config":{"Healthcheck":{"Test":["CMD","x"],"Interval":-1}}}'],
  ['too many layers', `{"rootfs":{"diff_ids":${JSON.stringify(Array(501).fill(DIFF_ID))}}}`],
])('parseImageConfig() refuses %s', (_, text) => {
  expect(() => parseImageConfig(Buffer.from(text))).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
  )
})
