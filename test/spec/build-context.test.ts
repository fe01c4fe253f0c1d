import { expect, test } from 'vitest'
import { parseBuildContext } from '../../src/spec/build-context.ts'

test.each([
  ['./app', { kind: 'directory', path: './app' }],
  ['/srv/a:b', { kind: 'directory', path: '/srv/a:b' }],
  ['service:base', { kind: 'service', service: 'base' }],
  ['docker-image://alpine:3', { kind: 'image', reference: 'alpine:3' }],
  ['oci-layout://./dir', { kind: 'layout', directory: './dir' }],
  ['oci-layout:///dir:1.0', { kind: 'layout', directory: '/dir', name: '1.0' }],
  ['oci-layout:///dir:1@sha256:ab', { kind: 'layout', directory: '/dir', name: 'sha256:ab' }],
  ['https://host/r.git#main:sub', { kind: 'remote', url: 'https://host/r.git#main:sub' }],
  ['git@host:r.git', { kind: 'remote', url: 'git@host:r.git' }],
  ['github.com/a/b', { kind: 'remote', url: 'github.com/a/b' }],
  ['target:base', { kind: 'directory', path: 'target:base' }],
  ['ftp://host/x', { kind: 'unknown', scheme: 'ftp' }],
])('a context "%s" is told by how it is written', (text, context) => {
  expect(parseBuildContext(text)).toEqual(context)
})
