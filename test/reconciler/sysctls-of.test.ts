import { describe, expect, test } from 'vitest'
import { sysctlsOf } from '../../src/reconciler/sysctls-of.ts'

const host = {
  userNamespace: false,
  networkMode: { kind: 'endpoints' },
  ipc: { kind: 'private' },
} as const

describe('sysctlsOf()', () => {
  test.each(['net.core.somaxconn', 'net/ipv4/ip_forward', 'kernel.shmmax', 'fs.mqueue.msg_max'])(
    'with the ids of the host, one of a namespace of its own: %s',
    (name) => {
      expect(sysctlsOf({ sysctls: { [name]: '1' } }, host)).toEqual({ [name]: '1' })
    },
  )

  test.each([
    ['vm.max_map_count', host],
    ['kernel.pid_max', host],
    ['net.core.somaxconn', { ...host, networkMode: { kind: 'host' } as const }],
    ['kernel.shmmax', { ...host, ipc: { kind: 'host' } as const }],
  ])('never one that the container shares with the host: %s', (name, namespaces) => {
    const set = (): unknown => sysctlsOf({ sysctls: { [name]: '1' } }, namespaces)
    expect(set).toThrow(`Cannot set sysctl "${name}": the container shares it with the host`)
  })
})
