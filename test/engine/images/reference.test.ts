import { describe, expect, test } from 'vitest'
import fc from 'fast-check'
import {
  familiarReference,
  formatReference,
  parseReference,
} from '../../../src/engine/images/reference.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`

describe('parseReference() completes names as Docker does', () => {
  test.each([
    ['nginx', 'docker.io/library/nginx:latest'],
    ['nginx:1.27', 'docker.io/library/nginx:1.27'],
    ['me/app', 'docker.io/me/app:latest'],
    ['docker.io/nginx', 'docker.io/library/nginx:latest'],
    ['index.docker.io/library/nginx', 'docker.io/library/nginx:latest'],
    ['localhost/app', 'localhost/app:latest'],
    ['localhost:5000/app:2', 'localhost:5000/app:2'],
    ['ghcr.io/a/b/c', 'ghcr.io/a/b/c:latest'],
    ['[::1]:5000/app', '[::1]:5000/app:latest'],
    [`nginx@${DIGEST}`, `docker.io/library/nginx@${DIGEST}`],
    [`nginx:1@${DIGEST}`, `docker.io/library/nginx@${DIGEST}`],
    ['docker://busybox:1', 'docker.io/library/busybox:1'],
  ])('%s -> %s', (text, canonical) => {
    expect(formatReference(parseReference(text))).toBe(canonical)
  })
})

describe('parseReference() refuses', () => {
  test.each([
    '', ':', 'Nginx', 'nginx:', 'nginx:a b', 'a//b', '/nginx', 'nginx@sha256:12', '-a', 'a..b', 'host:', 'host: ,',
    'host:a b', 'host:/a/../b', 'host:pkg:', 'oci:', 'oci-archive::x', 'dir:', 'docker-archive:x:@y', 'a'.repeat(300),
    'x'.repeat(9000),
  ])('%j', (text) => {
    expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
}) // prettier-ignore

test('parseReference() sorts and dedupes the items of host:', () => {
  expect(parseReference('host:node, sh,pkg:nginx,sh,/opt//app/')).toEqual({
    transport: 'host',
    items: [
      { kind: 'path', value: '/opt/app' },
      { kind: 'name', value: 'node' },
      { kind: 'package', value: 'nginx' },
      { kind: 'name', value: 'sh' },
    ],
  })
})

describe('parseReference() reads transports', () => {
  test.each([
    ['oci:/a/b', { transport: 'oci', path: '/a/b' }],
    ['oci:/a/b:v1', { transport: 'oci', path: '/a/b', name: 'v1' }],
    ['oci-archive:a.tar:x', { transport: 'oci-archive', path: 'a.tar', name: 'x' }],
    ['dir:/a:b', { transport: 'dir', path: '/a:b' }],
    ['docker-archive:/a.tar', { transport: 'docker-archive', path: '/a.tar' }],
    [
      'docker-archive:/a.tar:nginx:1',
      { transport: 'docker-archive', path: '/a.tar', name: 'nginx:1' },
    ],
    ['docker-archive:/a.tar:@2', { transport: 'docker-archive', path: '/a.tar', index: 2 }],
  ])('%s', (text, expected) => {
    expect(parseReference(text)).toEqual(expected)
  })
})

test('formatReference() gives what parseReference() reads back unchanged', () => {
  const word = fc.stringMatching(/^[a-z0-9]{1,8}$/)
  const item = fc.oneof(
    word,
    word.map((name) => `pkg:x${name}`),
    word.map((name) => `/${name}`),
  )
  const references = fc.oneof(
    fc.tuple(word, word, word).map(([a, b, tag]) => `${a}.io/${b}:${tag}`),
    fc.array(item, { minLength: 1, maxLength: 5 }).map((items) => `host:${items.join(',')}`),
    fc.tuple(word, word).map(([path, name]) => `oci:/${path}:${name}`),
  )
  fc.assert(
    fc.property(references, (text) => {
      const canonical = formatReference(parseReference(text))
      expect(formatReference(parseReference(canonical))).toBe(canonical)
    }),
  )
})

test('familiarReference() takes away what was completed', () => {
  expect(familiarReference('docker.io/library/nginx:1')).toBe('nginx:1')
  expect(familiarReference('docker.io/me/app:1')).toBe('me/app:1')
  expect(familiarReference('host:sh')).toBe('host:sh')
})
