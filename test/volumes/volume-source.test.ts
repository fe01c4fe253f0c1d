import { describe, expect, test } from 'vitest'
import { volumeSourceOf } from '../../src/volumes/volume-source.ts'

describe('volumeSourceOf()', () => {
  test('gives an NFS export its options in their order, and leaves out what only mount(8) needs', () => {
    const o = 'addr=nas.lan,nfsvers=4.2,rw,hard,timeo=600,_netdev,noatime,nolock'
    expect(volumeSourceOf('v', { type: 'nfs', o, device: ':/export' })).toEqual({
      kind: 'file-system',
      type: 'nfs',
      options: [
        ['source', ':/export'],
        ['addr', 'nas.lan'],
        ['nfsvers', '4.2'],
        ['hard', true],
        ['timeo', '600'],
        ['nolock', true],
      ],
      readOnly: false,
      noExec: false,
    })
  })

  test('keeps an = in the value of a CIFS option; ro and noexec are attributes of the mount', () => {
    const o = 'username=u,password=a=b,vers=3.0,ro,noexec'
    expect(volumeSourceOf('v', { type: 'cifs', o, device: '//nas/share' })).toEqual({
      kind: 'file-system',
      type: 'cifs',
      options: [
        ['source', '//nas/share'],
        ['username', 'u'],
        ['password', 'a=b'],
        ['vers', '3.0'],
      ],
      readOnly: true,
      noExec: true,
    })
  })

  test.each([
    [
      { type: 'none', o: 'bind' },
      { recursive: false, readOnly: false },
    ],
    [{ o: 'rbind,ro' }, { recursive: true, readOnly: true }],
    [{ type: 'bind' }, { recursive: false, readOnly: false }],
  ])('takes %j for a directory of the host', (options, expected) => {
    const source = volumeSourceOf('v', { ...options, device: '/srv' })
    expect(source).toEqual({ kind: 'bind', path: '/srv', ...expected })
  })

  test.each([
    [{ type: 'nfs', server: 'x' }, 'driver option "server" is not known'],
    [{ o: 'bind', device: 'srv' }, 'device "srv" is not an absolute path'],
    [{ o: 'addr=192.0.2.1' }, 'it has no type'],
    [{ type: 'ext4', device: '/dev/sda1' }, 'file systems of type "ext4" are not mounted'],
  ])('refuses %j', (options, message) => {
    expect(() => volumeSourceOf('v', options)).toThrow(message)
  })
})
