import { expect, test } from 'vitest'
import {
  bindMounts,
  builtOnly,
  environmentFindings,
  secretLines,
  unpublishedFiles,
} from '../../src/cli/publish-findings.ts'
import type { Service, Stack } from '../../src/spec/stack.ts'

function stackOf(services: Readonly<Record<string, Service>>, more: Partial<Stack> = {}): Stack {
  return { name: 's', services, networks: {}, volumes: {}, configs: {}, secrets: {}, ...more }
}

test('builtOnly() names services that nobody else can have', () => {
  const build = { context: '/src', dockerfile: 'Dockerfile' }
  expect(builtOnly(stackOf({ a: { build }, b: { build, image: 'b' }, c: { image: 'c' } }))).toEqual(
    ['a'],
  )
})

test('bindMounts() names directories of this host', () => {
  const volumes: Service['volumes'] = [
    { type: 'bind', source: '/home/me', target: '/data' },
    { type: 'volume', source: 'v', target: '/v' },
  ]
  expect(bindMounts(stackOf({ a: { volumes } }))).toEqual(['service "a": /home/me:/data'])
})

test('environmentFindings() names files, and what is written out where a credential may be', () => {
  const environment = {
    API_KEY: 'written',
    DB_PASSWORD: '${PASSWORD}',
    MODE: 'fast',
    TOKEN: null,
    PASSWORD: '',
  }
  const a = { environment, env_file: [{ path: '/a.env' }] } as Service
  expect(environmentFindings(stackOf({ a }))).toEqual([
    'service "a": env_file declared: /a.env',
    'service "a": literal value for "API_KEY"',
  ])
})

test('secretLines() tells where a secret is, and not what it is', () => {
  const text = ['A=1', 'KEY=AKIAABCDEFGHIJKLMNOP', '-----BEGIN OPENSSH PRIVATE KEY-----'].join('\n')
  const file = { kind: 'environment', name: 'a.env', bytes: Buffer.from(text) } as const
  expect(secretLines([file])).toEqual(['a.env:2', 'a.env:3'])
})

test('unpublishedFiles() names what others have to have', () => {
  const more = {
    configs: { c: { name: 's_c', file: '/c' }, inline: { name: 's_i', content: 'x' } },
    secrets: { s: { name: 's_s', file: '/s' } },
  }
  expect(unpublishedFiles(stackOf({}, more))).toEqual([
    'the file of config "c" is not published',
    'the file of secret "s" is not published',
  ])
})
