/** What a container is, looked at from inside: through a real daemon, with programs of the host. */
import fs from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Service } from '../../src/spec/stack.ts'
import {
  failureOf,
  startDaemonFixture,
  type DaemonFixture,
  type StackParts,
} from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const IMAGE = 'host:sh,coreutils,grep,sed'
const NAMESPACES = ['user', 'pid', 'net', 'ipc', 'uts', 'mnt', 'cgroup'] as const
/** moby oci/caps/defaults.go: CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE */
const DEFAULT_CAPABILITIES = '00000000a80425fb'
const NONE = '0000000000000000'
const STACK = 'inside'

let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})
afterEach(async () => {
  await daemon.down(STACK, { volumes: true })
})

/** Starts a container and gives its id. */
async function start(service: Service = {}, parts: Partial<StackParts> = {}): Promise<string> {
  const defaults: Service = {
    image: IMAGE,
    command: ['sleep', '1000'],
    network_mode: 'none',
    stop_grace_period: '0s',
  }
  await daemon.up(STACK, { ...parts, services: { s: { ...defaults, ...service } } })
  return (await daemon.container(STACK, 's')).id
}

/** A field of a process's status as the container sees it. */
async function status(id: string, field: string, pid = '1'): Promise<string> {
  const text = await daemon.sh(id, `grep ^${field}: /proc/${pid}/status`)
  return text.slice(field.length + 1).trim()
}

async function pidOf(id: string): Promise<number> {
  return (await daemon.client.container(id)).pid ?? 0
}

describe('isolation', () => {
  test('the program is process 1 in namespaces of its own', async () => {
    const id = await start({ hostname: 'inner' })
    const pid = await pidOf(id)
    expect(await daemon.sh(id, 'cat /proc/1/comm; uname -n')).toBe('sleep\ninner')
    for (const kind of NAMESPACES) {
      const inside = fs.readlinkSync(`/proc/${pid}/ns/${kind}`)
      expect(inside, kind).not.toBe(fs.readlinkSync(`/proc/${daemon.pid}/ns/${kind}`))
      expect(inside, kind).not.toBe(fs.readlinkSync(`/proc/self/ns/${kind}`))
      // exec is in the same ones
      if (kind !== 'user')
        expect(await daemon.sh(id, `readlink /proc/self/ns/${kind}`), kind).toBe(inside)
    }
  })

  test('root inside is nobody outside', async () => {
    const id = await start()
    expect(await daemon.sh(id, 'id')).toBe('uid=0(root) gid=0(root) groups=0(root)')
    const outside = /^Uid:\t(\d+)/m.exec(
      fs.readFileSync(`/proc/${await pidOf(id)}/status`, 'utf8'),
    )?.[1]
    expect(Number(outside)).toBeGreaterThanOrEqual(0x4000_0000)
    expect(await daemon.sh(id, 'cat /proc/self/uid_map /proc/self/gid_map')).toMatch(
      /^\s*0\s+\d{10}\s+65536\n\s*0\s+\d{10}\s+65536$/,
    )
  })

  test('two stacks have ranges that do not touch', async () => {
    const id = await start()
    await daemon.up('other', {
      services: { s: { image: IMAGE, command: ['sleep', '1000'], network_mode: 'none' } },
    })
    try {
      const other = await daemon.container('other', 's')
      const starts = await Promise.all(
        [id, other.id].map(async (one) =>
          Number((await daemon.sh(one, 'cat /proc/self/uid_map')).split(/\s+/)[1]),
        ),
      )
      expect(Math.abs((starts[0] ?? 0) - (starts[1] ?? 0))).toBeGreaterThanOrEqual(65_536)
    } finally {
      await daemon.down('other')
    }
  })

  test("capabilities are Docker's default set, no other and none inheritable or ambient", async () => {
    const id = await start()
    for (const pid of ['1', 'self']) {
      for (const set of ['CapPrm', 'CapEff', 'CapBnd'])
        expect(await status(id, set, pid), `${set} of ${pid}`).toBe(DEFAULT_CAPABILITIES)
      for (const set of ['CapInh', 'CapAmb'])
        expect(await status(id, set, pid), `${set} of ${pid}`).toBe(NONE)
    }
  })

  test('cap_add and cap_drop change the set; another user has none that work', async () => {
    const id = await start({ cap_add: ['SYS_TIME'], cap_drop: ['ALL'] })
    expect(await status(id, 'CapEff')).toBe('0000000002000000')
    const result = await daemon.exec(id, ['grep', '^Cap', '/proc/self/status'], { user: '1000' })
    expect(result.stdout).toMatch(/CapPrm:\t0{16}\nCapEff:\t0{16}\nCapBnd:\t0000000002000000/)
  })

  test('a system call filter is active; no_new_privs only when asked for', async () => {
    const id = await start()
    expect([
      await status(id, 'Seccomp'),
      await status(id, 'Seccomp', 'self'),
      await status(id, 'NoNewPrivs'),
    ]).toEqual(['2', '2', '0'])
    await daemon.down(STACK)
    const other = await start({ security_opt: ['no-new-privileges:true', 'seccomp=unconfined'] })
    expect([
      await status(other, 'Seccomp'),
      await status(other, 'NoNewPrivs'),
      await status(other, 'NoNewPrivs', 'self'),
    ]).toEqual(['0', '1', '1'])
  })

  test('nothing is mounted in the mount namespace of the host', async () => {
    const before = fs.readFileSync(`/proc/${daemon.pid}/mountinfo`, 'utf8')
    const own = fs.readFileSync('/proc/self/mountinfo', 'utf8')
    await start(
      { tmpfs: ['/t'], volumes: [{ type: 'volume', source: 'v', target: '/v' }] },
      { volumes: { v: { name: `${STACK}_v` } } },
    )
    expect(fs.readFileSync(`/proc/${daemon.pid}/mountinfo`, 'utf8')).toBe(before)
    expect(fs.readFileSync('/proc/self/mountinfo', 'utf8')).toBe(own)
  })

  test('privileged: all capabilities, no filter, the ids of the host', async () => {
    const id = await start({ privileged: true })
    const own = /^CapEff:\t(\w+)/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))?.[1]
    expect([await status(id, 'CapEff'), await status(id, 'Seccomp')]).toEqual([own, '0'])
    expect(await daemon.sh(id, 'cat /proc/self/uid_map')).toMatch(/^\s*0\s+0\s+4294967295$/)
    expect(await daemon.sh(id, 'grep " /sys sysfs" /proc/mounts')).toContain(' rw,')
  })

  test("userns_mode host: the host's ids, but the default capabilities and filter", async () => {
    const id = await start({ userns_mode: 'host' })
    expect(await daemon.sh(id, 'cat /proc/self/uid_map')).toMatch(/^\s*0\s+0\s+4294967295$/)
    expect([await status(id, 'CapEff'), await status(id, 'Seccomp')]).toEqual([
      DEFAULT_CAPABILITIES,
      '2',
    ])
  })

  test.each([
    { network_mode: 'host' },
    { pid: 'host' },
    { ipc: 'host' },
    { uts: 'host' },
    { network_mode: 'host', pid: 'host', ipc: 'host', uts: 'host' },
  ])('the namespaces of the host are shared on demand: %j', async (service: Service) => {
    const id = await start({ network_mode: 'none', ...service })
    const pid = await pidOf(id)
    for (const kind of NAMESPACES) {
      const isShared = service[kind === 'net' ? 'network_mode' : (kind as 'pid')] === 'host'
      const [inside, own] = [pid, daemon.pid].map((one) =>
        fs.readlinkSync(`/proc/${one}/ns/${kind}`),
      )
      expect(inside === own, kind).toBe(isShared)
    }
    expect(
      await daemon.sh(id, 'test -d /sys/class/net && test -r /proc/self/status && echo seen'),
    ).toBe('seen')
    expect(
      (
        await daemon.exec(id, [
          'sh',
          '-c',
          'echo 1 > /sys/kernel/mm/ksm/run || echo x > /proc/sys/kernel/domainname',
        ])
      ).exitCode,
    ).not.toBe(0)
  })

  test('net, ipc and pid of another container are shared', async () => {
    await daemon.up(STACK, {
      services: {
        a: { image: IMAGE, command: ['sleep', '1000'], network_mode: 'none', hostname: 'first' },
        b: {
          image: IMAGE,
          command: ['sleep', '1000'],
          network_mode: 'service:a',
          ipc: 'service:a',
          pid: 'service:a',
          depends_on: { a: { condition: 'service_started', required: true } },
        },
      },
    })
    const [a, b] = [await daemon.container(STACK, 'a'), await daemon.container(STACK, 'b')]
    for (const kind of ['net', 'ipc', 'pid', 'user']) {
      expect(fs.readlinkSync(`/proc/${b.pid}/ns/${kind}`), kind).toBe(
        fs.readlinkSync(`/proc/${a.pid}/ns/${kind}`),
      )
    }
    expect(fs.readlinkSync(`/proc/${b.pid}/ns/mnt`)).not.toBe(
      fs.readlinkSync(`/proc/${a.pid}/ns/mnt`),
    )
    expect(await daemon.sh(b.id, 'cat /proc/1/comm')).toBe('sleep')
  })
})

describe('the first process', () => {
  test('has descriptors 0, 1 and 2 only, an empty signal mask and default actions, umask 022', async () => {
    const id = await start()
    expect(await daemon.sh(id, 'ls /proc/1/fd')).toBe('0\n1\n2')
    expect(await daemon.sh(id, 'readlink /proc/1/fd/0')).toBe('/dev/null')
    for (const set of ['SigBlk', 'SigIgn', 'SigCgt']) expect(await status(id, set), set).toBe(NONE)
    expect(await status(id, 'Umask')).toBe('0022')
  })

  test('exec has the same', async () => {
    const id = await start()
    // By the shell itself: until a child has begun its signals are blocked.
    const script =
      'ls /proc/$$/fd; while read name value; do case $name in SigBlk:|SigIgn:|Umask:) echo $name $value;; esac; done </proc/$$/status'
    expect(await daemon.sh(id, script)).toBe(
      `0\n1\n2\nUmask: 0022\nSigBlk: ${NONE}\nSigIgn: ${NONE}`,
    )
  })

  test('a broken pipe ends a program', async () => {
    const id = await start()
    expect(
      await daemon.sh(
        id,
        'sh -c "yes; echo \\$? >&2" 2>&1 | head -1; (yes; echo $? > /tmp/code) | head -1; cat /tmp/code',
      ),
    ).toContain('141')
  })

  test('environment: the image, then the service; HOME, HOSTNAME and PATH are there', async () => {
    const id = await start({
      environment: { ONE: '1', EMPTY: '', PATH: '/usr/bin:/bin', GONE: null },
      hostname: 'h',
    })
    const lines = (await daemon.sh(id, 'tr "\\0" "\\n" < /proc/1/environ')).split('\n').sort()
    expect(lines).toEqual(['EMPTY=', 'HOME=/root', 'HOSTNAME=h', 'ONE=1', 'PATH=/usr/bin:/bin'])
  })

  test('entrypoint and command: the one of the stack also discards that of the image', async () => {
    const id = await start({ entrypoint: ['sh', '-c', 'exec sleep "$0"'], command: ['777'] })
    expect(await daemon.sh(id, 'tr "\\0" " " < /proc/1/cmdline')).toBe('sleep 777')
    await daemon.down(STACK)
    expect((await failureOf(start({ entrypoint: [], command: [] }))).message).toMatch(
      /^Cannot run service "s": neither it nor its image has a command/,
    )
    await daemon.down(STACK)
    const plain = await start({ entrypoint: [], command: null, stdin_open: true })
    expect(await daemon.sh(plain, 'tr "\\0" " " < /proc/1/cmdline')).toBe('sh')
  })

  test('a program without a slash is looked up in the PATH of the container', async () => {
    const id = await start({
      command: ['tool'],
      environment: { PATH: '/nowhere:/tools:/usr/bin:/bin' },
      volumes: [{ type: 'bind', source: script('tool', 'exec sleep 1000'), target: '/tools/tool' }],
    })
    expect(await daemon.sh(id, 'tr "\\0" " " < /proc/1/cmdline')).toBe('sleep 1000')
  })

  test.each([
    [
      'missing program',
      ['no-such-program'],
      127,
      'Cannot execute "no-such-program": it is not in the image',
    ],
    [
      'missing path',
      ['/no/such/program'],
      127,
      'Cannot execute "/no/such/program": it is not in the image',
    ],
    [
      'file that is no program',
      ['/etc/passwd'],
      126,
      'Cannot execute "/etc/passwd": permission denied',
    ],
    ['directory', ['/etc'], 126, 'Cannot execute "/etc": permission denied'],
  ])('a %s: exit code and error say so', async (_name, command, exitCode, message) => {
    const failure = await failureOf(start({ command }))
    expect(failure.message).toContain(message)
    expect(failure.hint).toBeDefined()
    const container = await daemon.container(STACK, 's')
    expect([container.state, container.exitCode]).toEqual(['exited', exitCode])
    expect((await daemon.client.container(container.id)).error).toContain(message)
  })

  test('a script whose interpreter is missing, and a file without one', async () => {
    const mount = (text: string): Service => ({
      command: ['/x'],
      volumes: [{ type: 'bind', source: script('x', text, '#!/no/interpreter\n'), target: '/x' }],
    })
    expect((await failureOf(start(mount('')))).message).toContain(
      'Cannot execute "/x": it is not in the image',
    )
    await daemon.down(STACK)
    const plain: Service = {
      command: ['/x'],
      volumes: [{ type: 'bind', source: script('y', 'exit 3', ''), target: '/x' }],
    }
    expect((await failureOf(start(plain))).message).toContain(
      'neither a program for this machine nor a script',
    )
  })

  test.each([
    ['a number without a name', '1234', '1234:0', '0'],
    ['number and group', '1234:77', '1234:77', '77'],
    ['name', 'daemon', '1:1', '1'],
    ['name and group', 'daemon:65534', '1:65534', '65534'],
  ])('user: %s', async (_name, user, ids, groups) => {
    const id = await start({ user })
    const line = async (field: string): Promise<string> =>
      (await status(id, field)).split(/\s+/)[0] ?? ''
    expect([`${await line('Uid')}:${await line('Gid')}`, await daemon.sh(id, 'id -G')]).toEqual([
      ids,
      groups,
    ])
    expect(await daemon.sh(id, 'cat /proc/self/status | grep ^Uid')).toContain(ids.split(':')[0])
  })

  test('group_add adds groups by name and number', async () => {
    const id = await start({ user: '1000:1000', group_add: ['4242', 'daemon'] })
    expect((await daemon.sh(id, 'id -G')).split(' ').sort()).toEqual(['1', '1000', '4242'])
  })

  test.each([
    ['user', { user: 'nobody-knows' }],
    ['group', { user: '0:nobody-knows' }],
    ['group', { group_add: ['nobody-knows'] }],
  ])('an unknown %s is an error that names it', async (what, service: Service) => {
    const failure = await failureOf(start(service))
    expect([failure.code, failure.message]).toEqual([
      'NOT_FOUND',
      expect.stringContaining(`Cannot find ${what} "nobody-knows"`),
    ])
  })

  test('its output can be opened again by another user than root', async () => {
    await start({ user: '1000', command: ['sh', '-c', 'echo reopened > /dev/stdout; sleep 1000'] })
    expect(
      await eventually('the line', async () => {
        const lines = await daemon.logs(STACK)
        return lines.length > 0 && lines
      }),
    ).toEqual(['reopened'])
  })

  test('working_dir is made, with the owner root, when it is missing', async () => {
    const id = await start({ working_dir: '/made/for/it' })
    expect(await daemon.sh(id, 'readlink /proc/1/cwd; pwd; stat -c "%u %a" /made/for/it')).toBe(
      '/made/for/it\n/made/for/it\n0 755',
    )
  })

  test('working_dir is made below a read-only root, and in a volume', async () => {
    const id = await start(
      {
        working_dir: '/data/sub',
        read_only: true,
        volumes: [{ type: 'volume', source: 'v', target: '/data' }],
      },
      { volumes: { v: { name: `${STACK}_v` } } },
    )
    expect(await daemon.sh(id, 'pwd; touch file; ls; touch /x 2>/dev/null || echo read-only')).toBe(
      '/data/sub\nfile\nread-only',
    )
  })

  test('ulimits, oom_score_adj', async () => {
    const id = await start({
      ulimits: { nofile: { soft: 99, hard: 100 }, core: 0 },
      oom_score_adj: 321,
    })
    const limits = await daemon.sh(id, 'cat /proc/1/limits')
    expect(limits).toMatch(/Max open files\s+99\s+100/)
    expect(limits).toMatch(/Max core file size\s+0\s+0/)
    expect(await daemon.sh(id, 'cat /proc/1/oom_score_adj; ulimit -n')).toBe('321\n99')
  })

  test('the usual limit of open files is not that of the daemon', async () => {
    expect(await daemon.sh(await start(), 'ulimit -n')).toBe('1024')
  })

  test('sysctls of the network; one that the kernel lacks, or that is not namespaced, is an error that names it', async () => {
    const id = await start({
      sysctls: { 'net.core.somaxconn': '333', 'net.ipv4.ip_unprivileged_port_start': '80' },
    })
    expect(
      await daemon.sh(
        id,
        'cat /proc/sys/net/core/somaxconn /proc/sys/net/ipv4/ip_unprivileged_port_start',
      ),
    ).toBe('333\n80')
    await daemon.down(STACK)
    expect((await failureOf(start({ sysctls: { 'net.nothing.here': '1' } }))).message).toContain(
      '/proc/sys/net/nothing/here',
    )
    await daemon.down(STACK)
    const before = fs.readFileSync('/proc/sys/vm/swappiness', 'utf8')
    expect((await failureOf(start({ sysctls: { 'vm.swappiness': '17' } }))).message).toContain(
      '/proc/sys/vm/swappiness',
    )
    expect(fs.readFileSync('/proc/sys/vm/swappiness', 'utf8')).toBe(before)
  })

  function script(name: string, text: string, head = '#!/bin/sh\n'): string {
    const file = path.join(daemon.scratch, name)
    fs.writeFileSync(file, `${head}${text}\n`)
    fs.chmodSync(file, 0o755)
    return file
  }
})

describe('the file tree', () => {
  test('/dev has the devices and links of the OCI runtime specification, and they work', async () => {
    const id = await start()
    const nodes = await daemon.sh(
      id,
      'cd /dev; stat -c "%n %t:%T %a %u:%g" null zero full random urandom tty',
    )
    expect(nodes.split('\n')).toEqual([
      'null 1:3 666 0:0',
      'zero 1:5 666 0:0',
      'full 1:7 666 0:0',
      'random 1:8 666 0:0',
      'urandom 1:9 666 0:0',
      'tty 5:0 666 0:0',
    ])
    const links = await daemon.sh(
      id,
      'cd /dev; for l in ptmx fd stdin stdout stderr; do echo $l $(readlink $l); done',
    )
    expect(links).toBe(
      'ptmx pts/ptmx\nfd /proc/self/fd\nstdin /proc/self/fd/0\nstdout /proc/self/fd/1\nstderr /proc/self/fd/2',
    )
    expect(
      await daemon.sh(
        id,
        'echo x > /dev/null; head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c; head -c 1 /dev/zero 2>/dev/null > /dev/full || echo full',
      ),
    ).toBe('3\n3\nfull')
    expect(
      await daemon.sh(id, 'ls /dev | grep -E "^(sd|vd|nvme|loop|mem|kmsg|kvm)" || echo none'),
    ).toBe('none')
  })

  test('a device that the container makes can not be used', async () => {
    const id = await start({ cap_add: ['MKNOD'] })
    const result = await daemon.exec(id, [
      'sh',
      '-c',
      'mknod /tmp/vda b 254 0 && head -c 1 /tmp/vda',
    ])
    expect(result.exitCode).not.toBe(0)
  })

  test('masked paths show nothing, read-only paths can not be written, /sys is read-only', async () => {
    const id = await start()
    const masked = [
      '/proc/acpi',
      '/proc/interrupts',
      '/proc/kcore',
      '/proc/keys',
      '/proc/latency_stats',
      '/proc/timer_list',
      '/proc/sched_debug',
      '/proc/scsi',
      '/sys/firmware',
    ]
    for (const name of masked.filter((candidate) => fs.existsSync(candidate))) {
      expect(
        await daemon.sh(id, `if [ -d ${name} ]; then ls -A ${name}; else cat ${name}; fi`),
        name,
      ).toBe('')
    }
    for (const name of ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/sys']) {
      const options = await daemon.sh(id, `grep " ${name} " /proc/mounts | tail -1`)
      expect(options.split(' ')[3]?.split(','), name).toContain('ro')
    }
    for (const name of [
      '/proc/sysrq-trigger',
      '/proc/sys/kernel/hostname',
      '/sys/kernel/mm/ksm/run',
      '/proc/sys/kernel/core_pattern',
    ]) {
      expect((await daemon.exec(id, ['sh', '-c', `echo 1 > ${name}`])).exitCode, name).not.toBe(0)
    }
  })

  test('mounts can not be undone from inside', async () => {
    const id = await start({ image: `${IMAGE},mount,umount` })
    for (const command of [
      'umount /proc/sys',
      'umount /proc/acpi',
      'mount -o remount,rw /sys',
      'mount -t tmpfs x /mnt',
    ]) {
      expect((await daemon.exec(id, ['sh', '-c', command])).exitCode, command).not.toBe(0)
    }
  })

  test('the cgroups are its own and read-only', async () => {
    const id = await start({ mem_limit: '100m' })
    expect(
      await daemon.sh(
        id,
        'cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max',
      ),
    ).toBe(String(100 << 20))
    expect(await daemon.sh(id, 'cut -d: -f3 /proc/self/cgroup | sort -u | head -1')).toBe('/')
    expect(
      (
        await daemon.exec(id, [
          'sh',
          '-c',
          'mkdir /sys/fs/cgroup/memory/x || mkdir /sys/fs/cgroup/x',
        ])
      ).exitCode,
    ).not.toBe(0)
  })

  test('shm_size, tmpfs with its options', async () => {
    const id = await start({
      shm_size: '4m',
      tmpfs: ['/small:size=1m,mode=700,uid=7,gid=8', '/run/x'],
    })
    expect(await daemon.sh(id, 'stat -f -c "%b %S" /dev/shm /small')).toBe('1024 4096\n256 4096')
    expect(await daemon.sh(id, 'stat -c "%a %u %g" /small /run/x /dev/shm')).toBe(
      '700 7 8\n1777 0 0\n1777 0 0',
    )
    expect(
      await daemon.sh(
        id,
        'grep -E " /(small|run/x) " /proc/mounts | cut -d" " -f3,4 | cut -d, -f1-4',
      ),
    ).toBe('tmpfs rw,nosuid,nodev,noexec\ntmpfs rw,nosuid,nodev,noexec')
  })

  test('configs and secrets lie on a tmpfs, read-only, with mode and owner', async () => {
    const id = await start(
      {
        configs: [
          { source: 'c', target: '/etc/app/c.conf', uid: '5', gid: '6', mode: '0440' },
          { source: 'c' },
        ],
        secrets: [{ source: 'k' }, { source: 'k', target: 'other', mode: '0400' }],
      },
      {
        configs: { c: { name: 'c', content: 'config text' } },
        secrets: { k: { name: 'k', content: 'geheim' } },
      },
    )
    expect(
      await daemon.sh(
        id,
        'stat -c "%n %a %u %g" /etc/app/c.conf /c /run/secrets/k /run/secrets/other',
      ),
    ).toBe(
      '/etc/app/c.conf 440 5 6\n/c 444 0 0\n/run/secrets/k 444 0 0\n/run/secrets/other 400 0 0',
    )
    expect(
      await daemon.sh(id, 'cat /etc/app/c.conf /run/secrets/k; stat -f -c %T /run/secrets/k'),
    ).toBe('config textgeheimtmpfs')
    expect(
      (await daemon.exec(id, ['sh', '-c', 'chmod 777 /run/secrets/k || echo x > /c'])).exitCode,
    ).not.toBe(0)
    const everything =
      JSON.stringify(await daemon.client.container(id)) +
      fs.readdirSync(daemon.stateDir, { recursive: true }).join('\n')
    expect(everything).not.toContain('geheim')
  })

  test('/etc/hosts, /etc/hostname and /etc/resolv.conf speak of the container, and can be written', async () => {
    const id = await start({
      hostname: 'h1',
      domainname: 'example.test',
      extra_hosts: ['db=10.1.2.3'],
    })
    const hosts = await daemon.sh(id, 'cat /etc/hosts')
    expect(hosts).toMatch(/^127\.0\.0\.1\tlocalhost$/m)
    expect(hosts).toMatch(/^10\.1\.2\.3\tdb$/m)
    expect(
      await daemon.sh(
        id,
        'cat /etc/hostname; echo "1.2.3.4 more" >> /etc/hosts; tail -1 /etc/hosts',
      ),
    ).toBe('h1\n1.2.3.4 more')
  })

  test('a named volume is seeded from the image, owners as the container knows them', async () => {
    const id = await start(
      { volumes: [{ type: 'volume', source: 'v', target: '/etc' }] },
      { volumes: { v: { name: `${STACK}_v` } } },
    )
    expect(
      await daemon.sh(id, 'stat -c "%u %g" /etc/passwd; touch /etc/new; stat -c %u /etc/new'),
    ).toBe('0 0\n0')
    const data = (await daemon.client.volumes(STACK))[0]?.mountpoint ?? ''
    expect(fs.statSync(path.join(data, 'passwd')).uid).toBe(0)
    expect(fs.statSync(path.join(data, 'new')).uid).toBe(0)
    await daemon.down(STACK)
    const again = await start(
      { volumes: [{ type: 'volume', source: 'v', target: '/else' }] },
      { volumes: { v: { name: `${STACK}_v` } } },
    )
    expect(await daemon.sh(again, 'ls /else/new; stat -c %u /else/new')).toBe('/else/new\n0')
  })

  test('a bind mount shows the ids of the host: what root makes belongs to root', async () => {
    const source = path.join(daemon.scratch, 'bound')
    fs.mkdirSync(source)
    fs.writeFileSync(path.join(source, 'theirs'), 'x')
    fs.chownSync(path.join(source, 'theirs'), 1000, 1000)
    const id = await start({
      volumes: [
        { type: 'bind', source, target: '/bound' },
        { type: 'bind', source, target: '/ro', read_only: true },
      ],
    })
    expect(
      await daemon.sh(
        id,
        'touch /bound/mine; stat -c "%u" /bound/mine /bound/theirs; touch /ro/x 2>/dev/null || echo read-only',
      ),
    ).toBe('0\n1000\nread-only')
    expect([
      fs.statSync(path.join(source, 'mine')).uid,
      fs.existsSync(path.join(source, 'x')),
    ]).toEqual([0, false])
  })

  test('a single file can be bound, and a source that is missing is made or refused', async () => {
    const file = path.join(daemon.scratch, 'single')
    fs.writeFileSync(file, 'one file')
    const missing = path.join(daemon.scratch, 'made/by/it')
    const id = await start({
      volumes: [
        { type: 'bind', source: file, target: '/opt/deep/single' },
        { type: 'bind', source: missing, target: '/made', bind: { create_host_path: true } },
      ],
    })
    expect(await daemon.sh(id, 'cat /opt/deep/single')).toBe('one file')
    expect(fs.statSync(missing).isDirectory()).toBe(true)
    await daemon.down(STACK)
    const refused = await failureOf(
      start({
        volumes: [
          {
            type: 'bind',
            source: `${missing}/not`,
            target: '/x',
            bind: { create_host_path: false },
          },
        ],
      }),
    )
    expect(refused.message).toMatch(/^Cannot mount ".*" at "\/x": it does not exist/)
    expect(fs.existsSync(`${missing}/not`)).toBe(false)
  })

  test('a volume is no way out: subpaths and symlinks stay inside', async () => {
    const volumes = { v: { name: `${STACK}_v` } }
    const id = await start(
      { volumes: [{ type: 'volume', source: 'v', target: '/v' }] },
      { volumes },
    )
    await daemon.sh(id, 'ln -s /etc /v/link; ln -s ../../../../../../etc /v/up; mkdir /v/sub')
    await daemon.sh(id, 'ln -s / /v/root')
    await daemon.down(STACK)
    for (const subpath of [
      '..',
      '../../..',
      'link',
      'up',
      'sub/../../x',
      '/etc',
      'root/etc',
      'missing',
    ]) {
      const refused = await failureOf(
        start(
          { volumes: [{ type: 'volume', source: 'v', target: '/m', volume: { subpath } }] },
          { volumes },
        ),
      )
      expect(refused.message, subpath).toContain('Cannot mount subpath')
      await daemon.down(STACK)
    }
    const inside = await start(
      { volumes: [{ type: 'volume', source: 'v', target: '/m', volume: { subpath: 'sub' } }] },
      { volumes },
    )
    expect(await daemon.sh(inside, 'touch /m/here; ls /m')).toBe('here')
  })

  test('a symlink of the volume or the image at a mount point does not lead out', async () => {
    const marker = path.join(daemon.scratch, 'marker')
    fs.mkdirSync(marker)
    const volumes = { v: { name: `${STACK}_v` } }
    const id = await start(
      { volumes: [{ type: 'volume', source: 'v', target: '/v' }] },
      { volumes },
    )
    await daemon.sh(id, `ln -s ${marker} /v/out`)
    await daemon.down(STACK)
    const other = await start(
      {
        volumes: [
          { type: 'volume', source: 'v', target: '/v' },
          { type: 'tmpfs', target: '/v/out/deep' },
        ],
      },
      { volumes },
    ).catch(() => undefined)
    expect(fs.readdirSync(marker)).toEqual([])
    if (other !== undefined) expect(await daemon.sh(other, 'grep -c deep /proc/mounts')).toBe('1')
  })

  test.each(['/', '/proc', '/sys', '/dev'])('a mount at %s is refused', async (target) => {
    expect((await failureOf(start({ tmpfs: [target] }))).message).toContain(
      `Cannot mount at "${target}"`,
    )
  })
})
