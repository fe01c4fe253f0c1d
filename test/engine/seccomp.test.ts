import { existsSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { actionValue, encode, rule } from '../../src/engine/seccomp/bpf.ts'
import { CAPABILITIES, capabilityNumber } from '../../src/engine/capabilities.ts'
import { DEFAULT_SECCOMP_PROFILE } from '../../src/engine/seccomp/default-profile.ts'
import { parseSeccompProfile } from '../../src/engine/seccomp/parse-profile.ts'
import type { SeccompCondition, SeccompOperator } from '../../src/engine/seccomp/profile.ts'
import { buildSeccompFilter } from '../../src/engine/seccomp/seccomp.ts'
import { syscallTable, type SeccompArch } from '../../src/engine/seccomp/syscall-table.ts'

const AUDIT_ARCH = { x64: 0xc000003e, x86: 0x40000003, arm64: 0xc00000b7 }
const ALLOW = 0x7fff0000
const EPERM = 0x50001
const ENOSYS = 0x50026
const KILL_PROCESS = 0x80000000

interface Run {
  readonly value: number
  readonly steps: number
}

/** Runs a filter as the kernel's BPF machine would: the specification of these eight instructions is five lines each. */
function run(
  filter: Uint8Array,
  arch: SeccompArch | number,
  number: number,
  args: readonly bigint[] = [],
): Run {
  const data = Buffer.alloc(64)
  data.writeUInt32LE(number >>> 0, 0)
  data.writeUInt32LE(typeof arch === 'number' ? arch : AUDIT_ARCH[arch], 4)
  args.forEach((value, index) => data.writeBigUInt64LE(value, 16 + index * 8))
  const program = Buffer.from(filter)
  let accumulator = 0
  let steps = 0
  for (let pc = 0; pc * 8 < program.length; pc += 1) {
    steps += 1
    const code = program.readUInt16LE(pc * 8)
    const [jt = 0, jf = 0] = [program[pc * 8 + 2], program[pc * 8 + 3]]
    const k = program.readUInt32LE(pc * 8 + 4)
    if (code === 0x06) return { value: k, steps }
    if (code === 0x20) accumulator = data.readUInt32LE(k)
    else if (code === 0x54) accumulator = (accumulator & k) >>> 0
    else if (code === 0x05) pc += k
    else if (code === 0x15) pc += accumulator === k ? jt : jf
    else if (code === 0x25) pc += accumulator > k ? jt : jf
    else if (code === 0x35) pc += accumulator >= k ? jt : jf
    else throw new Error(`instruction ${code} at ${pc}`)
  }
  throw new Error('the filter has no return')
}

function caps(...names: string[]): number[] {
  return names.map((name) => capabilityNumber(`CAP_${name}`) ?? -1)
}

/** What the default filter says to a call by name. */
function ask(
  name: string,
  args: readonly bigint[] = [],
  options: { caps?: number[]; arch?: SeccompArch } = {},
): number {
  const arch = options.arch ?? 'x64'
  const filter = buildSeccompFilter(
    DEFAULT_SECCOMP_PROFILE,
    options.caps ?? [],
    arch === 'arm64' ? 'arm64' : 'x64',
  )
  const number = syscallTable(arch).get(name)
  if (number === undefined) throw new Error(`no call ${name}`)
  return run(filter, arch, number, args).value
}

/** What the profile says without arguments to each call that it names, by an independent reading of it. */
function unconditionalAnswers(held: readonly string[], arch: SeccompArch): Map<string, number> {
  const applying = DEFAULT_SECCOMP_PROFILE.rules
    .filter((one) => one.conditions.length === 0)
    .filter((one) => (one.includes?.caps ?? []).every((name) => held.includes(name)))
    .filter((one) => !(one.excludes?.caps ?? []).some((name) => held.includes(name)))
    .filter((one) => one.includes?.arches?.includes(arch === 'arm64' ? 'arm64' : 'amd64') ?? true)
  return new Map(
    applying.flatMap((one) => one.names.map((name) => [name, actionValue(one.action)] as const)),
  )
}

describe('syscallTable()', () => {
  function fromHeader(path: string): Map<string, number> {
    const text = readFileSync(path, 'latin1')
    const defined = text.matchAll(/^#define __NR_(\w+)\s+(\d+)\s*$/gm)
    return new Map([...defined].map(([, name = '', number]) => [name, Number(number)]))
  }

  for (const [arch, file] of [
    ['x64', 'unistd_64.h'],
    ['x86', 'unistd_32.h'],
  ] as const) {
    const path = `/usr/include/x86_64-linux-gnu/asm/${file}`
    it.skipIf(!existsSync(path))(`has what ${file} has (needs linux-libc-dev)`, () => {
      const table = syscallTable(arch)
      const header = fromHeader(path)
      expect(header.size).toBeGreaterThan(300)
      const differing = [...header].filter(
        ([name, number]) => table.has(name) && table.get(name) !== number,
      )
      expect(differing).toEqual([])
      const known = new Set(table.values())
      expect([...header].filter(([, number]) => number <= 469 && !known.has(number))).toEqual([])
    })
  }

  const generic = '/usr/include/asm-generic/unistd.h'
  it.skipIf(!existsSync(generic))(
    'has for arm64 what asm-generic/unistd.h has (needs linux-libc-dev)',
    () => {
      const table = syscallTable('arm64')
      const header = fromHeader(generic)
      expect(header.size).toBeGreaterThan(250)
      const differing = [...header].filter(
        ([name, number]) => table.has(name) && table.get(name) !== number,
      )
      expect(differing).toEqual([])
      expect(table.get('openat')).toBe(header.get('openat'))
      expect([table.get('newfstatat'), table.get('mmap'), table.get('clone3')]).toEqual([
        79, 222, 435,
      ])
      expect(table.has('open')).toBe(false)
    },
  )

  it('gives no number to two names', () => {
    for (const arch of ['x64', 'x86', 'arm64'] as const) {
      const table = syscallTable(arch)
      expect(new Set(table.values()).size).toBe(table.size)
    }
  })
})

describe('buildSeccompFilter()', () => {
  it('says for every call of every architecture what the profile says', () => {
    for (const names of [
      [],
      ['SYS_ADMIN'],
      ['SYS_PTRACE', 'SYS_TIME'],
      CAPABILITIES.map((name) => name.slice(4)),
    ]) {
      const held = names.map((name) => `CAP_${name}`)
      for (const arch of ['x64', 'x86', 'arm64'] as const) {
        const unconditional = unconditionalAnswers(held, arch)
        const conditional = new Set(['socket', 'personality', 'clone'])
        const wrong = [...syscallTable(arch).keys()]
          .filter((name) => !conditional.has(name))
          .filter(
            (name) =>
              ask(name, [], { caps: caps(...names), arch }) !== (unconditional.get(name) ?? EPERM),
          )
        expect(wrong).toEqual([])
      }
    }
  })

  it('is short, and shorter still on the way', () => {
    const lengths = [
      buildSeccompFilter(DEFAULT_SECCOMP_PROFILE, []),
      buildSeccompFilter(DEFAULT_SECCOMP_PROFILE, [], 'arm64'),
    ]
    expect(lengths.map((filter) => filter.length / 8)).toEqual([540, 221])
    const filter = buildSeccompFilter(DEFAULT_SECCOMP_PROFILE, [], 'x64')
    const steps = [...syscallTable('x64').values()].map(
      (number) => run(filter, 'x64', number).steps,
    )
    expect(Math.max(...steps)).toBeLessThan(60)
    expect(run(filter, 'x64', 0).steps).toBeLessThan(15)
  })

  it('opens calls by capability', () => {
    expect(ask('mount')).toBe(EPERM)
    expect(ask('mount', [], { caps: caps('SYS_ADMIN') })).toBe(ALLOW)
    expect(ask('chroot')).toBe(EPERM)
    expect(ask('chroot', [], { caps: caps('SYS_CHROOT') })).toBe(ALLOW)
    expect(ask('bpf', [], { caps: caps('BPF') })).toBe(ALLOW)
    expect(ask('keyctl', [], { caps: caps('SYS_ADMIN') })).toBe(EPERM)
  })

  it('lets clone make threads and processes but no namespaces', () => {
    expect(ask('clone', [0x3d0f00n])).toBe(ALLOW)
    for (const flag of [
      0x20000n,
      0x2000000n,
      0x4000000n,
      0x8000000n,
      0x10000000n,
      0x20000000n,
      0x40000000n,
    ]) {
      expect(ask('clone', [flag | 17n])).toBe(EPERM)
      expect(ask('clone', [flag], { caps: caps('SYS_ADMIN') })).toBe(ALLOW)
    }
    expect(ask('clone3')).toBe(ENOSYS)
    expect(ask('clone3', [], { caps: caps('SYS_ADMIN') })).toBe(ALLOW)
  })

  it('lets no refused socket family through, not by bits that the kernel drops either', () => {
    const verdicts = Array.from({ length: 64 }, (_, family) => ask('socket', [BigInt(family)]))
    const refused = verdicts.flatMap((verdict, family) => (verdict === EPERM ? [family] : []))
    expect(refused.filter((family) => family <= 46)).toEqual([
      12, 19, 20, 23, 25, 34, 37, 38, 40, 46,
    ])
    expect(refused.filter((family) => family > 46)).toHaveLength(17)
    expect(ask('socket', [(1n << 32n) | 40n])).toBe(EPERM)
    expect(ask('socket', [(1n << 32n) | 2n])).toBe(EPERM)
  })

  it('lets personality ask and set the usual ones', () => {
    expect(
      [0n, 8n, 0x20000n, 0x20008n, 0xffffffffn].map((value) => ask('personality', [value])),
    ).toEqual(Array(5).fill(ALLOW))
    // ADDR_NO_RANDOMIZE
    expect(ask('personality', [0x40000n])).toBe(EPERM)
  })

  it('answers ENOSYS to calls younger than its tables and kills x32 and foreign architectures', () => {
    const filter = buildSeccompFilter(DEFAULT_SECCOMP_PROFILE, [], 'x64')
    expect(run(filter, 'x64', 470).value).toBe(ENOSYS)
    expect(run(filter, 'x64', 0x3fffffff).value).toBe(ENOSYS)
    expect(run(filter, 'x64', 0x40000000).value).toBe(KILL_PROCESS)
    expect(run(filter, 'x64', 0x40000000 + 521).value).toBe(KILL_PROCESS)
    expect(run(filter, 'x64', -1).value).toBe(ENOSYS)
    expect(run(filter, 'x86', 470).value).toBe(ENOSYS)
    expect(run(filter, 'arm64', 0).value).toBe(KILL_PROCESS)
    expect(run(filter, 0x40000028, 0).value).toBe(KILL_PROCESS)
    const arm = buildSeccompFilter(DEFAULT_SECCOMP_PROFILE, [], 'arm64')
    expect(run(arm, 'arm64', 0x40000000).value).toBe(ENOSYS)
    expect(run(arm, 'x64', 0).value).toBe(KILL_PROCESS)
  })

  it('compiles once for each set of capabilities, in whatever order', () => {
    const once = buildSeccompFilter(DEFAULT_SECCOMP_PROFILE, [1, 2])
    expect(buildSeccompFilter(DEFAULT_SECCOMP_PROFILE, [2, 1])).toBe(once)
    expect(buildSeccompFilter(DEFAULT_SECCOMP_PROFILE, [1])).not.toBe(once)
  })
})

describe('rule()', () => {
  const operators: readonly SeccompOperator[] = ['ne', 'lt', 'le', 'eq', 'ge', 'gt', 'masked-eq']

  function holds(
    { index, operator, value, masked = 0n }: SeccompCondition,
    args: readonly bigint[],
  ): boolean {
    const argument = args[index] ?? 0n
    switch (operator) {
      case 'ne':
        return argument !== value
      case 'lt':
        return argument < value
      case 'le':
        return argument <= value
      case 'eq':
        return argument === value
      case 'ge':
        return argument >= value
      case 'gt':
        return argument > value
      case 'masked-eq':
        return (argument & value) === masked
    }
  }

  it('compares 64-bit arguments as the operators say', () => {
    // Few distinct halves, so that equal ones are common.
    const half = fc.constantFrom(0n, 1n, 2n, 0x7fffffffn, 0x80000000n, 0xffffffffn)
    const word = fc.tuple(half, half).map(([high, low]) => (high << 32n) | low)
    const condition = fc.record({
      index: fc.integer({ min: 0, max: 5 }),
      operator: fc.constantFrom(...operators),
      value: word,
      masked: word,
    })
    const args = fc.array(word, { minLength: 6, maxLength: 6 })
    fc.assert(
      fc.property(fc.array(condition, { maxLength: 4 }), args, (conditions, values) => {
        const program = encode([...rule(conditions, 1), { code: 6, jt: 0, jf: 0, k: 2 }])
        expect(run(program, 'x64', 0, values).value).toBe(
          conditions.every((one) => holds(one, values)) ? 1 : 2,
        )
      }),
      { numRuns: 2000 },
    )
  })
})

describe('parseSeccompProfile()', () => {
  function filterOf(profile: object, held: number[] = []): Uint8Array {
    return buildSeccompFilter(parseSeccompProfile(JSON.stringify(profile)), held, 'x64')
  }
  const number = (name: string): number => syscallTable('x64').get(name) ?? -1

  it('reads a deny-list with actions, values and names of other machines', () => {
    const filter = filterOf({
      defaultAction: 'SCMP_ACT_ALLOW',
      architectures: ['SCMP_ARCH_X86_64'],
      syscalls: [
        { names: ['chmod', 'no_such_call'], action: 'SCMP_ACT_ERRNO', errnoRet: 13 },
        { name: 'reboot', action: 'SCMP_ACT_KILL_PROCESS' },
        { names: ['getppid'], action: 'SCMP_ACT_LOG' },
      ],
    })
    expect(run(filter, 'x64', number('chmod')).value).toBe(0x5000d)
    expect(run(filter, 'x64', number('reboot')).value).toBe(KILL_PROCESS)
    expect(run(filter, 'x64', number('getppid')).value).toBe(0x7ffc0000)
    expect(run(filter, 'x64', number('read')).value).toBe(ALLOW)
    expect(run(filter, 'x64', 500).value).toBe(ALLOW)
    expect(run(filter, 'x86', 0).value).toBe(KILL_PROCESS)
  })

  it('takes several conditions on one argument for alternatives, on several for all', () => {
    const filter = filterOf({
      defaultAction: 'SCMP_ACT_ERRNO',
      archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }],
      syscalls: [
        {
          names: ['socket'],
          action: 'SCMP_ACT_ALLOW',
          args: [
            { index: 0, value: 1, op: 'SCMP_CMP_EQ' },
            { index: 0, value: 2, op: 'SCMP_CMP_EQ' },
          ],
        },
        {
          names: ['dup2'],
          action: 'SCMP_ACT_ALLOW',
          args: [
            { index: 0, value: 1, op: 'SCMP_CMP_EQ' },
            { index: 1, value: 240, valueTwo: 16, op: 'SCMP_CMP_MASKED_EQ' },
          ],
        },
      ],
    })
    const verdicts = [1n, 2n, 3n].map(
      (family) => run(filter, 'x64', number('socket'), [family]).value,
    )
    expect(verdicts).toEqual([ALLOW, ALLOW, EPERM])
    expect(run(filter, 'x64', number('dup2'), [1n, 0x1fn]).value).toBe(ALLOW)
    expect(run(filter, 'x64', number('dup2'), [1n, 0x2fn]).value).toBe(EPERM)
    expect(run(filter, 'x64', number('dup2'), [2n, 0x1fn]).value).toBe(EPERM)
    expect(run(filter, 'x86', syscallTable('x86').get('dup2') ?? -1, [1n, 0x10n]).value).toBe(ALLOW)
  })

  it('keeps conditions on capabilities and kernels', () => {
    const profile = {
      defaultAction: 'SCMP_ACT_ERRNO',
      syscalls: [
        { names: ['mount'], action: 'SCMP_ACT_ALLOW', includes: { caps: ['CAP_SYS_ADMIN'] } },
        { names: ['ptrace'], action: 'SCMP_ACT_ALLOW', includes: { minKernel: '4.8' } },
        { names: ['kcmp'], action: 'SCMP_ACT_ALLOW', includes: { minKernel: '999.0' } },
        { names: ['acct'], action: 'SCMP_ACT_ALLOW', excludes: { arches: ['amd64'] } },
      ],
    }
    const verdict = (name: string, held: number[] = []): number =>
      run(filterOf(profile, held), 'x64', number(name)).value
    expect([verdict('mount'), verdict('mount', caps('SYS_ADMIN'))]).toEqual([EPERM, ALLOW])
    expect([verdict('ptrace'), verdict('kcmp'), verdict('acct')]).toEqual([ALLOW, EPERM, EPERM])
  })

  it('refuses what it does not understand, and what is too large', () => {
    const refuse = (profile: object): string => {
      try {
        parseSeccompProfile(JSON.stringify(profile))
        return 'accepted'
      } catch (error) {
        return error instanceof Error
          ? error.message.replace('Cannot read the seccomp profile: ', '')
          : ''
      }
    }
    const withCall = (call: object): object => ({
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [call],
    })
    expect(refuse({})).toMatch(/^defaultAction: /)
    expect(refuse(withCall({ names: ['a'], action: 'SCMP_ACT_NOTIFY' }))).toBe(
      'the action "SCMP_ACT_NOTIFY" is not supported',
    )
    expect(refuse(withCall({ names: ['a'], name: 'b', action: 'SCMP_ACT_LOG' }))).toBe(
      'a rule has both "name" and "names"',
    )
    expect(
      refuse(
        withCall({
          names: ['a'],
          action: 'SCMP_ACT_LOG',
          args: [{ index: 6, value: 0, op: 'SCMP_CMP_EQ' }],
        }),
      ),
    ).toMatch(/^syscalls.0.args.0.index: /)
    expect(
      refuse(
        withCall({
          names: ['a'],
          action: 'SCMP_ACT_LOG',
          args: [{ index: 0, value: -1, op: 'SCMP_CMP_EQ' }],
        }),
      ),
    ).toMatch(/^syscalls.0.args.0.value: /)
    expect(
      refuse(
        withCall({
          names: ['a'],
          action: 'SCMP_ACT_LOG',
          args: [{ index: 0, value: 0, op: 'EQ' }],
        }),
      ),
    ).toBe('there is no operator "EQ"')
    expect(
      refuse({
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: Array(5001).fill({ names: ['a'], action: 'SCMP_ACT_LOG' }),
      }),
    ).toMatch(/^syscalls: /)
    expect(() => parseSeccompProfile('{')).toThrow('it is not JSON')
    expect(() => parseSeccompProfile(' '.repeat(2 << 20))).toThrow('it is larger than 1 MiB')
    const args = [{ index: 0, value: 1, op: 'SCMP_CMP_EQ' }]
    const huge = Array.from({ length: 2000 }, (_, value) => ({
      names: ['socket'],
      action: 'SCMP_ACT_LOG',
      args: [{ ...args[0], value }],
    }))
    expect(() => filterOf({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: huge })).toThrow(
      /it needs \d+ instructions, the kernel takes 4096/,
    )
  })
})
