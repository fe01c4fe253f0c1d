import { describe, expect, test } from 'vitest'
import { parseTmpfs } from '../../src/spec/tmpfs.ts'

const SAFE = { options: {}, readOnly: false, noExec: true, noSuid: true, noDev: true }

describe('parseTmpfs()', () => {
  test.each([
    ['/run', { ...SAFE, target: '/run' }],
    ['/run/:rw,noexec,nosuid,nodev', { ...SAFE, target: '/run' }],
    ['/t:exec,suid,dev', { ...SAFE, target: '/t', noExec: false, noSuid: false, noDev: false }],
    ['/t:exec,noexec', { ...SAFE, target: '/t' }],
    ['/t:ro,relatime', { ...SAFE, target: '/t', readOnly: true }],
    [
      '/t:size=64m,mode=1770,uid=5,nr_blocks=9,mpol=default',
      {
        ...SAFE,
        target: '/t',
        options: { size: '64m', mode: '1770', uid: '5', nr_blocks: '9', mpol: 'default' },
      },
    ],
    ['/t:size=1m,size=2m', { ...SAFE, target: '/t', options: { size: '2m' } }],
    ['run', '"run" is not an absolute path'],
    ['/t:huge=always', 'option "huge=always" is not known'],
    ['/t:size', 'option "size" is not known'],
    ['/t:exec=1', 'option "exec=1" is not known'],
  ])('%s', (text, expected) => {
    expect(parseTmpfs(text)).toEqual(expected)
  })
})
