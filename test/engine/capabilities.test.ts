import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  CAPABILITIES,
  capabilityNumber,
  missingCapabilities,
  readOwnCapabilities,
  resolveCapabilities,
} from '../../src/engine/capabilities.ts'

const available = (1n << 41n) - 1n

function names(request: { add?: string[]; drop?: string[]; privileged?: boolean }): string[] {
  const numbers = resolveCapabilities({
    add: [],
    drop: [],
    privileged: false,
    available,
    ...request,
  })
  return numbers.map((number) => CAPABILITIES[number]?.slice(4) ?? '')
}

const DEFAULT = [
  ...['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP'],
  ...['NET_BIND_SERVICE', 'NET_RAW', 'SYS_CHROOT', 'MKNOD', 'AUDIT_WRITE', 'SETFCAP'],
]

describe('CAPABILITIES', () => {
  it.skipIf(!existsSync('/usr/include/linux/capability.h'))(
    'are those of the kernel header (needs linux-libc-dev)',
    () => {
      const header = readFileSync('/usr/include/linux/capability.h', 'latin1')
      const defined = [...header.matchAll(/^#define (CAP_[A-Z_]+)\s+(\d+)\s*$/gm)]
      expect(defined.length).toBeGreaterThan(37)
      for (const [, name = '', number] of defined)
        expect([name, capabilityNumber(name)]).toEqual([name, Number(number)])
    },
  )
})

describe('resolveCapabilities()', () => {
  it("is Docker's default set for no request", () => {
    expect(names({})).toEqual(DEFAULT)
  })

  it('takes names with or without CAP_ and in any case', () => {
    expect(names({ drop: ['ALL'], add: ['net_admin', 'CAP_KILL', 'cap_chown'] })).toEqual([
      'CHOWN',
      'KILL',
      'NET_ADMIN',
    ])
  })

  it('drops before it adds', () => {
    expect(names({ drop: ['KILL', 'MKNOD'], add: ['KILL'] })).toEqual(
      DEFAULT.filter((name) => name !== 'MKNOD'),
    )
    expect(names({ drop: ['all'] })).toEqual([])
  })

  it('gives all but what is dropped by name for an add of ALL', () => {
    expect(names({ add: ['ALL'], drop: ['SYS_ADMIN'] })).toEqual(
      CAPABILITIES.map((name) => name.slice(4)).filter((name) => name !== 'SYS_ADMIN'),
    )
    expect(names({ add: ['ALL'], drop: ['ALL'] })).toHaveLength(41)
  })

  it('gives a privileged container everything that the host can give', () => {
    expect(names({ privileged: true })).toHaveLength(41)
    const clamped = resolveCapabilities({
      add: [],
      drop: [],
      privileged: true,
      available: available & ~(1n << 24n),
    })
    expect(clamped).toHaveLength(40)
    expect(clamped).not.toContain(24)
  })

  it('gives no more than this process has', () => {
    const own = readOwnCapabilities()
    const numbers = resolveCapabilities({ add: ['ALL'], drop: [], privileged: false })
    expect(numbers.every((number) => ((own >> BigInt(number)) & 1n) === 1n)).toBe(true)
  })

  it('refuses an unknown name, in cap_drop and for privileged too, and says what was meant', () => {
    expect(() => names({ add: ['NET_AMDIN'] })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', hint: 'Did you mean "NET_ADMIN"?' }),
    )
    expect(() => names({ drop: ['SYS_PTRAC'] })).toThrow(
      expect.objectContaining({ hint: 'Did you mean "SYS_PTRACE"?' }),
    )
    expect(() => names({ add: ['SYS_TIMES'], privileged: true })).toThrow(
      expect.objectContaining({ hint: 'Did you mean "SYS_TIME"?' }),
    )
    expect(() => names({ add: ['xyzzy'] })).toThrow(expect.objectContaining({ hint: undefined }))
    expect(() => names({ add: ['X'.repeat(10_000)] })).toThrow(
      /^Cannot use capability "X{40}": there is none of that name$/,
    )
  })
})

describe('missingCapabilities()', () => {
  it('names what was asked for and the host lacks', () => {
    const request = { add: ['SYS_RESOURCE', 'KILL', 'ALL'], drop: [], privileged: false }
    expect(missingCapabilities({ ...request, available: available & ~(1n << 24n) })).toEqual([
      'CAP_SYS_RESOURCE',
    ])
    expect(missingCapabilities({ ...request, available })).toEqual([])
  })
})
