import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, it, test } from 'vitest'
import { changeMode, checkMode } from '../../src/builder/file-mode.ts'

const MODES = [0o644, 0o755, 0o7750, 0o4711, 0o1777, 0o600]
const CHANGES = [
  ...[
    '+x',
    'u+s',
    'g=u',
    'go-rwx',
    'a=r',
    'u=rwX,go=rX',
    'o=',
    '=',
    '+t',
    'o+t',
    'u=rw,+X',
    'u+x-w',
  ],
  ...['a-s', 'ug=rx,o+w', 'g+s,o=g', '-t', 'u=rwxs', '+s', 'ugo=rwx', '0751', '7', '4755'],
]

let directory: string

beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'tsstack-mode-'))
})
afterAll(() => {
  rmSync(directory, { recursive: true })
})

test.each(['file', 'directory'])('changeMode() of a %s is what chmod(1) makes of it', (kind) => {
  const cases = CHANGES.flatMap((change) => MODES.map((mode) => ({ change, mode })))
  const at = (index: number): string => path.join(directory, `${kind}${String(index)}`)
  const commands = cases.map(({ change, mode }, index) => {
    if (kind === 'file') writeFileSync(at(index), '')
    else mkdirSync(at(index))
    chmodSync(at(index), mode)
    const octal = /^\d+$/.test(change) && kind === 'directory' ? change.padStart(5, '0') : change
    return `chmod -- ${octal} ${at(index)}`
  })
  execFileSync('sh', ['-c', `umask 0; ${commands.join('\n')}`])
  for (const [index, { change, mode }] of cases.entries()) {
    const shown = `${change} of ${mode.toString(8)}`
    const made = changeMode(mode, change, kind === 'directory')
    expect(`${shown}: ${made.toString(8)}`).toBe(
      `${shown}: ${(statSync(at(index)).mode & 0o7777).toString(8)}`,
    )
  }
})

it.each(['rwx', '888', '00755', 'u=rg', 'z=r', '', 'u=r,'])('checkMode() refuses "%s"', (mode) => {
  const place = { file: 'Dockerfile', line: 2, column: 1 }
  if (mode === 'u+') checkMode(mode, place)
  else
    expect(() => {
      checkMode(mode, place)
    }).toThrow(`Dockerfile:2:1: "--chmod=${mode}" is no mode`)
})
