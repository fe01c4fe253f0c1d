/** The filters in the real kernel, by a small C program that makes calls under them. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { capabilityNumber, resolveCapabilities } from '../../src/engine/capabilities.ts'
import { DEFAULT_SECCOMP_PROFILE } from '../../src/engine/seccomp/default-profile.ts'
import { parseSeccompProfile } from '../../src/engine/seccomp/parse-profile.ts'
import type { SeccompProfile } from '../../src/engine/seccomp/profile.ts'
import { buildSeccompFilter } from '../../src/engine/seccomp/seccomp.ts'
import { syscallTable, type SeccompArch } from '../../src/engine/seccomp/syscall-table.ts'

const compiler = process.env['CC'] ?? 'cc'
const hasCompiler = spawnSync(compiler, ['--version']).status === 0
const isX64 = process.arch === 'x64'
const native: SeccompArch = isX64 ? 'x64' : 'arm64'
const DEFAULT_CAPABILITIES = resolveCapabilities({ add: [], drop: [], privileged: false })
const EPERM = os.constants.errno.EPERM
const ENOSYS = os.constants.errno.ENOSYS
const EFAULT = os.constants.errno.EFAULT

let directory = ''

beforeAll(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'tsstack-seccomp-'))
  if (!hasCompiler) return
  const source = path.join(import.meta.dirname, '../fixtures/seccomp-harness.c')
  execFileSync(compiler, ['-O1', '-o', `${directory}/harness`, source])
})

afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
})

function call(name: string, args: readonly (number | bigint)[] = [], arch = native): string {
  const number = syscallTable(arch).get(name)
  if (number === undefined) throw new Error(`no call ${name}`)
  return `${arch === 'x86' ? 'i:' : ''}${[number, ...args].join(',')}`
}

/** errno of each call under the filter, 0 for success, or the signal that ended the caller. */
function under(
  profile: SeccompProfile,
  capabilities: readonly number[],
  calls: readonly string[],
): (number | string)[] {
  const file = `${directory}/filter`
  writeFileSync(file, buildSeccompFilter(profile, capabilities))
  const output = execFileSync(`${directory}/harness`, [file, ...calls], { encoding: 'latin1' })
  return output
    .trim()
    .split('\n')
    .map((line) => (/^\d+$/.test(line) ? Number(line) : line))
}

function underDefault(calls: readonly string[], more: readonly string[] = []): (number | string)[] {
  const added = more.map((name) => capabilityNumber(name) ?? -1)
  return under(DEFAULT_SECCOMP_PROFILE, [...DEFAULT_CAPABILITIES, ...added], calls)
}

const CLONE_NEWUSER = 0x10000000

describe.skipIf(!hasCompiler)('the default filter in the kernel (needs a C compiler)', () => {
  it('lets ordinary calls through', () => {
    const calls = [
      call('getpid'),
      call('getuid'),
      call('sched_yield'),
      call('umask', [18]),
      call('socket', [1, 1, 0]),
      call('socket', [16, 3, 0]),
    ]
    expect(
      underDefault([...calls, call('personality', [0xffffffff]), call('chroot', [0])]),
    ).toEqual([...Array<number>(7).fill(0), EFAULT])
  })

  it('refuses keyrings, mounts, namespaces, tracing of the kernel and io_uring', () => {
    const calls = [
      ...[
        call('keyctl', [0, 0]),
        call('add_key'),
        call('request_key'),
        call('mount'),
        call('umount2'),
        call('pivot_root'),
      ],
      ...[
        call('unshare', [CLONE_NEWUSER]),
        call('unshare', [0]),
        call('setns', [-1, 0]),
        call('bpf', [-1]),
        call('perf_event_open'),
      ],
      ...[
        call('io_uring_setup', [1, 0]),
        call('userfaultfd', [0]),
        call('kexec_load'),
        call('open_by_handle_at', [-1]),
        call('init_module'),
      ],
      ...[
        call('clone', [CLONE_NEWUSER | 17]),
        call('socket', [40, 1, 0]),
        call('socket', [38, 5, 0]),
        call('personality', [0x40000]),
      ],
    ]
    expect(underDefault(calls)).toEqual(Array<number>(calls.length).fill(EPERM))
  })

  it('answers ENOSYS for clone3 and for calls of the future', () => {
    expect(underDefault([call('clone3'), '900', '-1'])).toEqual([ENOSYS, ENOSYS, ENOSYS])
  })

  it('opens mount and unshare with CAP_SYS_ADMIN', () => {
    // The kernel itself looks at the pointers now.
    expect(underDefault([call('mount'), call('unshare', [0])], ['CAP_SYS_ADMIN'])).toEqual([
      EFAULT,
      0,
    ])
  })

  it.skipIf(!isX64)('kills a caller of the x32 ABI (x86-64 only)', () => {
    expect(underDefault([`x:${syscallTable('x64').get('getpid')}`])).toEqual([
      `signal ${os.constants.signals.SIGSYS}`,
    ])
  })

  it.skipIf(!isX64)('holds 32-bit calls to the same rules (x86-64 only)', () => {
    const calls = [
      call('getpid', [], 'x86'),
      call('mount', [], 'x86'),
      call('keyctl', [], 'x86'),
      call('clone3', [], 'x86'),
    ]
    const answers = underDefault(calls)
    // A kernel without IA32 emulation ends the caller before any filter.
    if (typeof answers[0] === 'string') return
    expect(answers).toEqual([0, EPERM, EPERM, ENOSYS])
  })

  it('kills 32-bit callers where the profile is for the native mode only', () => {
    const profile = parseSeccompProfile(
      JSON.stringify({
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [{ names: ['getppid'], action: 'SCMP_ACT_ERRNO', errnoRet: 95 }],
      }),
    )
    expect(under(profile, [], [call('getppid'), call('getpid')])).toEqual([95, 0])
    if (!isX64) return
    expect(under(profile, [], [call('getpid', [], 'x86')])).toEqual([
      expect.stringMatching(/^signal/),
    ])
  })
})
