import { closeSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Clone, Open } from '../../src/kernel/constants.ts'
import { SyscallError } from '../../src/kernel/libc.ts'
import { createNetworkSandbox, createUserNamespace } from '../../src/kernel/namespaces.ts'
import { changeMount, cloneTree, mountFileSystem } from '../../src/kernel/detached-mount.ts'
import { reap } from '../../src/kernel/process.ts'
import {
  blockSignals,
  cloneArguments,
  CLONE_ARGUMENTS_BYTES,
} from '../../src/kernel/signal-mask.ts'
import { SyscallList, type Entry } from '../../src/kernel/syscall-list.ts'

const AT_FDCWD = -100
const VFORK = Clone.VM | Clone.VFORK | Clone.CLEAR_SIGHAND
const NOBODY_HAS = 0x5000_0000

let list: SyscallList
let before: { fds: number; children: string; mask: string; maps: number }

const look = (): typeof before => ({
  fds: readdirSync('/proc/self/fd').length,
  children: readdirSync('/proc/self/task')
    .map((task) => readFileSync(`/proc/self/task/${task}/children`, 'utf8'))
    .join('')
    .trim(),
  mask: /^SigBlk:\t(\w+)/m.exec(readFileSync('/proc/thread-self/status', 'utf8'))?.[1] ?? '',
  maps: readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.includes('tsstack')).length,
})

beforeEach(() => {
  before = look()
  list = new SyscallList()
})
afterEach(() => {
  list.free()
  expect(look()).toEqual(before)
})

/** A list with one child: what `child` appends, then exit. Reaps it. */
async function runChild(child: () => void): Promise<number | undefined> {
  const signals = blockSignals(list)
  const fork = list.fork('clone3', [cloneArguments(list, VFORK), CLONE_ARGUMENTS_BYTES])
  child()
  list.parent(fork, () => {
    signals.restore()
  })
  try {
    await list.run()
  } finally {
    lastStatus =
      list.forkedPid() > 0 ? reap(list.forkedPid(), { block: true })?.exitCode : undefined
  }
  return lastStatus
}
let lastStatus: number | undefined

async function failureOf(work: Promise<unknown>): Promise<SyscallError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof SyscallError) return error
  throw new Error(`not a SyscallError: ${String(error)}`)
}

describe('SyscallList in this process', () => {
  test('results are kept, and become arguments of later calls', () => {
    const text = list.bytes(Buffer.alloc(64))
    const fd = list.call('openat', [AT_FDCWD, '/proc/self/comm', Open.RDONLY | Open.CLOEXEC, 0])
    const length = list.call('read', [fd, text, 64])
    list.runSync()
    expect(list.read(text, list.result(length)).toString()).toBe(
      readFileSync('/proc/self/comm', 'utf8'),
    )
    closeAll()
  })

  /** The descriptor went into the next call; its number is not kept. */
  function closeAll(): void {
    for (const fd of readdirSync('/proc/self/fd')) {
      try {
        if (readlinkSync(`/proc/self/fd/${fd}`).endsWith('/comm')) closeSync(Number(fd))
      } catch {
        // the directory that was being read
      }
    }
  }

  test('an error names call, target and errno; what follows is not run', () => {
    list.call('getpid', [])
    list.call('openat', [AT_FDCWD, '/no/such/file', Open.RDONLY, 0])
    const after = list.call('getpid', [])
    const run = (): void => {
      list.runSync()
    }
    expect(run).toThrow(
      expect.objectContaining({
        code: 'SYSCALL_FAILED',
        message: 'Cannot openat "/no/such/file": ENOENT',
        call: 'openat',
        errnoName: 'ENOENT',
      }),
    )
    expect(list.result(after)).toBe(0)
  })

  test('an error that is ignored is kept as the result', () => {
    const failing = list.call('close', [987_654], { ignoreError: true })
    const after = list.call('getpid', [])
    list.runSync()
    expect([list.result(failing), list.result(after)]).toEqual([-9, process.pid])
  })

  test('free() can be called twice; afterwards there are no results', () => {
    const entry = list.call('getpid', [])
    list.runSync()
    list.free()
    list.free()
    expect(() => list.result(entry)).toThrow('the list has not run')
  })

  test('a thousand lists leave no memory behind', () => {
    const size = (): number =>
      Number(/^VmSize:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
    const run = (): void => {
      const own = new SyscallList()
      own.bytes(Buffer.alloc(1 << 20))
      own.call('getpid', [])
      own.runSync()
      own.free()
    }
    for (let round = 0; round < 50; round++) run()
    const start = size()
    for (let round = 0; round < 1000; round++) run()
    expect(size() - start).toBeLessThan(300 * 1024) // KiB; they took 1 GiB
  })
})

describe('SyscallList with a child', () => {
  test('the child runs its part and leaves, the parent goes on', async () => {
    expect(await runChild(() => list.call('exit_group', [7]))).toBe(7)
  })

  test('an error in the child names call, target and errno', async () => {
    const failure = await failureOf(
      runChild(() => {
        list.call('chdir', ['/no/such/directory'])
        list.call('exit_group', [0])
      }),
    )
    expect([failure.call, failure.target, failure.errnoName, lastStatus]).toEqual([
      'chdir',
      '/no/such/directory',
      'ENOENT',
      127,
    ])
  })

  test('an error of the clone itself restores the signal mask, too', async () => {
    const signals = blockSignals(list)
    const fork = list.fork('clone3', [list.words([1 << 40]), 8]) // too short a structure
    list.call('exit_group', [0])
    list.parent(fork, () => {
      signals.restore()
    })
    expect((await failureOf(list.run())).call).toBe('clone3')
    expect(list.forkedPid()).toBeLessThanOrEqual(0)
  })

  async function nested(
    inner: () => void,
  ): Promise<{ readonly pid: number; readonly outcome: SyscallError | undefined }> {
    let pid: Entry | undefined
    let outcome: SyscallError | undefined
    try {
      await runChild(() => {
        pid = list.call('clone', [Clone.PARENT | Clone.VM | Clone.VFORK, 0, 0, 0, 0], {
          leaveParent: true,
        })
        inner()
      })
    } catch (error) {
      outcome = error as SyscallError
    }
    const found = pid === undefined ? 0 : list.result(pid)
    if (found > 0) lastStatus = reap(found, { block: true })?.exitCode
    return { pid: found, outcome }
  }

  test('a nested clone is our own child, and its parent leaves with 0', async () => {
    const { pid, outcome } = await nested(() => list.call('exit_group', [9]))
    expect([pid > 0, outcome, lastStatus]).toEqual([true, undefined, 9])
  })

  test('an error in the inner leg is known as well', async () => {
    const { pid, outcome } = await nested(() =>
      list.call('sethostname', [null, 1 << 20], { target: 'host name' }),
    )
    expect([pid > 0, outcome?.call, outcome?.target, outcome?.errnoName, lastStatus]).toEqual([
      true,
      'sethostname',
      'host name',
      'EINVAL',
      127,
    ])
  })

  test('execve: a vector of arguments and an environment', async () => {
    const argv = list.strings(['sh', '-c', 'test "$ONE $1" = "1 two"', 'sh', 'two'])
    const env = list.strings(['ONE=1', 'PATH=/usr/bin:/bin'])
    expect(await runChild(() => list.call('execve', ['/bin/sh', argv, env]))).toBe(0)
  })
})

describe('SyscallList with a child that shares memory and runs beside its parent', () => {
  test('the pid stays what the parent was told, however early the child runs', () => {
    const signals = blockSignals(list)
    const flags = Clone.VM | Clone.CLEAR_SIGHAND
    const fork = list.fork('clone3', [cloneArguments(list, flags), CLONE_ARGUMENTS_BYTES])
    list.call('exit_group', [0])
    const hundredMs = list.words([0, 100_000_000]) // struct timespec
    list.parent(fork, () => {
      list.call('ppoll', [0, 0, hundredMs, 0, 8]) // the child is through by then
      signals.restore()
    })
    list.runSync()
    expect(list.forkedPid()).toBeGreaterThan(1)
    expect(reap(list.forkedPid(), { block: true })).toEqual({ exitCode: 0, signal: 0 })
  })
})

describe('createUserNamespace()', () => {
  test('maps the range, and leaves no process and no descriptor but its own', () => {
    const fd = createUserNamespace({ start: NOBODY_HAS, length: 65_536 })
    expect(readlinkSync(`/proc/self/fd/${fd}`)).toMatch(/^user:\[\d+\]$/)
    expect(readlinkSync(`/proc/self/fd/${fd}`)).not.toBe(readlinkSync('/proc/self/ns/user'))
    closeSync(fd)
  })

  test('a range that the kernel refuses is an error, and nothing is left', () => {
    expect(() => createUserNamespace({ start: 0xffff_fff0, length: 65_536 })).toThrow('EINVAL')
  })
})

describe('createNetworkSandbox()', () => {
  test('200 rounds leave nothing; the namespace belongs to the user namespace', async () => {
    const userns = createUserNamespace({ start: NOBODY_HAS, length: 65_536 })
    const own = readlinkSync('/proc/self/ns/net')
    const startedAt = performance.now()
    for (let round = 0; round < 200; round++) {
      const sandbox = await createNetworkSandbox(round % 2 === 0 ? userns : undefined)
      expect(readlinkSync(`/proc/self/fd/${sandbox.netnsFd}`)).not.toBe(own)
      sandbox.close()
      sandbox.close()
    }
    closeSync(userns)
    expect(readlinkSync('/proc/self/ns/net')).toBe(own)
    expect((performance.now() - startedAt) / 200).toBeLessThan(100)
  })

  test('a descriptor that is no user namespace is an error, and nothing is left', async () => {
    expect((await failureOf(createNetworkSandbox(0))).call).toBe('setns')
  })
})

describe('detached mounts', () => {
  test('a file system that nobody sees can be used by its descriptor', () => {
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    const fd = mountFileSystem('tmpfs', [
      ['size', '64k'],
      ['mode', '0700'],
    ])
    expect(readdirSync(`/proc/self/fd/${fd}`)).toEqual([])
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).toBe(mounts)
    closeSync(fd)
  })

  test('an option that is refused is named', () => {
    expect(() => mountFileSystem('tmpfs', [['size', 'much']])).toThrow(
      /^Cannot fsconfig "tmpfs: size=much: .*Bad value.*": EINVAL$/,
    )
    expect(() => mountFileSystem('no-such-fs', [])).toThrow('Cannot fsopen "no-such-fs": ENODEV')
  })

  test('a tree can be cloned and made read-only; one that can not be ID-mapped is an error', () => {
    const fd = cloneTree('/usr', { recursive: false })
    changeMount(fd, { set: 1 })
    expect(readdirSync(`/proc/self/fd/${fd}`)).toEqual(readdirSync('/usr'))
    closeSync(fd)
    const sys = cloneTree('/sys', { recursive: false })
    const userns = createUserNamespace({ start: NOBODY_HAS, length: 65_536 })
    expect(() => {
      changeMount(sys, { usernsFd: userns })
    }).toThrow('mount_setattr')
    closeSync(userns)
    closeSync(sys)
    expect(() => cloneTree('/no/such/tree', { recursive: false })).toThrow(
      'Cannot open_tree "/no/such/tree": ENOENT',
    )
  })
})
