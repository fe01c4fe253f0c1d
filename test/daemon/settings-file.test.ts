import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { parseSettings, withSettingsFile } from '../../src/daemon/settings-file.ts'

test('parseSettings() reads lines as systemd does', () => {
  const text = `
# a comment
; another
TSSTACK_LOG_LEVEL=debug
TSSTACK_LOG_MAX_SIZE="1 MB"
TSSTACK_SOCKET_GROUP='wheel'
TSSTACK_STORAGE_DRIVER=
`
  expect(parseSettings(text, 'f')).toEqual({
    TSSTACK_LOG_LEVEL: 'debug',
    TSSTACK_LOG_MAX_SIZE: '1 MB',
    TSSTACK_SOCKET_GROUP: 'wheel',
    TSSTACK_STORAGE_DRIVER: '',
  })
})

test.each([
  ['A=1\nno assignment', /f:2: expected NAME=value/],
  ['A=1\n\nTSSTACK_HOST=unix:///x', /TSSTACK_HOST in f:3/],
])('parseSettings() refuses %j', (text, message) => {
  expect(() => parseSettings(text, 'f')).toThrow(message)
})

test('withSettingsFile() lets the environment go before, and misses a named file', () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'tsstack-settings-'))
  onTestFinished(() => {
    rmSync(directory, { recursive: true })
  })
  const file = path.join(directory, 'daemon.env')
  writeFileSync(file, 'A=file\nB=file\n')
  expect(withSettingsFile({ TSSTACK_SETTINGS: file, A: 'environment' })).toMatchObject({
    A: 'environment',
    B: 'file',
  })
  expect(() => withSettingsFile({ TSSTACK_SETTINGS: `${file}.other` })).toThrow(
    expect.objectContaining({ code: 'NOT_FOUND' }),
  )
})
