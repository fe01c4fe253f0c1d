import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import {
  eraseCredentials,
  findCredentials,
  storeCredentials,
} from '../../src/registry/docker-config.ts'

let directory: string
let env: Readonly<Record<string, string>>

beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'tsstack-docker-config-'))
  env = { DOCKER_CONFIG: directory }
})

afterEach(() => {
  rmSync(directory, { recursive: true })
})

const file = (): string => path.join(directory, 'config.json')
const base64 = (text: string): string => Buffer.from(text).toString('base64')
const write = (document: unknown): void => {
  writeFileSync(file(), JSON.stringify(document))
}

test('findCredentials() knows the spellings that Docker has used', async () => {
  write({
    auths: {
      'https://index.docker.io/v1/': { auth: base64('anna:pass:word') },
      'https://old.example/v2/': { auth: base64('bert:x') },
      'token.example': { identitytoken: 'abc' },
      'empty.example': {},
    },
  })
  const registries = ['docker.io', 'old.example', 'token.example', 'empty.example', 'none.example']
  expect(await findCredentials(env, registries)).toEqual({
    'docker.io': { username: 'anna', password: 'pass:word' },
    'old.example': { username: 'bert', password: 'x' },
    'token.example': { identityToken: 'abc' },
  })
})

test('storeCredentials() keeps what else is in the file, for its owner alone; eraseCredentials() undoes it', async () => {
  write({ psFormat: 'x', auths: { 'a.example': { auth: base64('a:a') } } })
  await storeCredentials(env, 'docker.io', { username: 'anna', password: 'secret' })
  expect(statSync(file()).mode & 0o777).toBe(0o600)
  expect(JSON.parse(readFileSync(file(), 'utf8'))).toEqual({
    psFormat: 'x',
    auths: {
      'a.example': { auth: base64('a:a') },
      'https://index.docker.io/v1/': { auth: base64('anna:secret') },
    },
  })
  expect(await eraseCredentials(env, 'docker.io')).toBe(true)
  expect(await eraseCredentials(env, 'docker.io')).toBe(false)
  expect(await findCredentials(env, ['docker.io', 'a.example'])).toEqual({
    'a.example': { username: 'a', password: 'a' },
  })
})

test('storeCredentials() keeps an identity token in the place of a password', async () => {
  await storeCredentials(env, 'a.example', { identityToken: 'abc' })
  expect(JSON.parse(readFileSync(file(), 'utf8'))).toEqual({
    auths: { 'a.example': { identitytoken: 'abc' } },
  })
  expect(await findCredentials(env, ['a.example'])).toEqual({
    'a.example': { identityToken: 'abc' },
  })
})

test('eraseCredentials() forgets every spelling of a registry', async () => {
  write({ auths: { 'https://old.example/v2/': { auth: base64('a:a') }, 'b.example': {} } })
  expect(await eraseCredentials(env, 'old.example')).toBe(true)
  expect(JSON.parse(readFileSync(file(), 'utf8'))).toEqual({ auths: { 'b.example': {} } })
})

test('what a helper says that is no answer is told to nobody: it may be a password', async () => {
  const helper = path.join(directory, 'docker-credential-odd')
  writeFileSync(helper, '#!/bin/sh\necho "the password is secret"\n', { mode: 0o755 })
  vi.stubEnv('PATH', `${directory}:${process.env['PATH'] ?? ''}`)
  write({ credsStore: 'odd' })
  const failure = await findCredentials(env, ['a.example']).catch((error: unknown) => error)
  vi.unstubAllEnvs()
  expect(failure).toMatchObject({ code: 'FAILED_PRECONDITION' })
  expect(String(failure)).not.toContain('secret')
})

test('a damaged file and a helper that is not installed are told', async () => {
  expect(await findCredentials(env, ['a.example'])).toEqual({})
  write({ credHelpers: { 'a.example': 'that-nobody-has' } })
  await expect(findCredentials(env, ['a.example'])).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
  })
  expect(await findCredentials(env, ['b.example'])).toEqual({})
  write(null)
  await expect(findCredentials(env, ['a.example'])).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  })
  writeFileSync(file(), '{')
  await expect(findCredentials(env, ['a.example'])).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  })
})
