/** The part that start and exec share: from "inside the container" to execve. */
import { AT_EMPTY_PATH, AT_FDCWD, Clone, Ioctl, Open, Prctl } from '../kernel/constants.ts'
import { SyscallError, errnoName } from '../kernel/libc.ts'
import type { BlockedSignals } from '../kernel/signal-mask.ts'
import type { Entry, SyscallList } from '../kernel/syscall-list.ts'
import { TsstackError } from '../errors.ts'
import type { ContainerUser } from './container-user.ts'

export interface ProcessSpec {
  readonly argv: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly workingDir: string
  readonly user: ContainerUser
  /** Numbers of the capabilities that stay in the bounding set. */
  readonly capabilities: readonly number[]
  readonly noNewPrivileges: boolean
  /** Classic BPF program; absent: unconfined. */
  readonly seccomp?: Uint8Array
  /** By resource number (man 2 prlimit). */
  readonly rlimits: readonly Rlimit[]
  /** Descriptors of the daemon that become 0, 1 and 2. */
  readonly stdio: readonly [number, number, number]
  /** stdio is a terminal: make it the controlling one. */
  readonly tty: boolean
  /** A first process of our own before the program (init/program.ts). */
  readonly init?: InitSpec
}

/** -1: unlimited. */
export interface Rlimit {
  /** As `ulimits` calls it. */
  readonly name: string
  readonly resource: number
  readonly soft: number
  readonly hard: number
  /** Above what this process itself is allowed. */
  readonly isRaised: boolean
}

export interface InitSpec {
  readonly programFd: number
  /** Both ends of a pipe of this start's own. */
  readonly pipe: readonly [readEnd: number, writeEnd: number]
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const SECCOMP_SET_MODE_FILTER = 1
const SIGCHLD = 17
/** Where init reads the program's pid. */
const INIT_PIPE = 3
const CAPABILITY_VERSION_3 = 0x20080522
const LAST_CAPABILITY = 40
const ALL_DESCRIPTORS = 0xffff_ffff
const CLOSE_RANGE_CLOEXEC = 4 // include/uapi/linux/close_range.h, Linux 5.11
const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn

/** Where execve was tried, in order. */
export interface ExecAttempts {
  readonly entries: readonly Entry[]
  readonly program: string
}

/** Becomes root of the container's user namespace: until then ids are the host's, which have no name inside. */
export function appendBecomeRoot(list: SyscallList): void {
  list.call('setgroups', [0, null])
  list.call('setresgid', [0, 0, 0])
  list.call('setresuid', [0, 0, 0])
}

/** Descriptors and limits: everything that does not depend on the user. */
export function appendStdio(list: SyscallList, spec: ProcessSpec): void {
  spec.stdio.forEach((fd, target) => {
    list.call('dup3', [fd, target, 0], { target: `descriptor ${target}` })
  })
  // Whatever the daemon itself inherited without close-on-exec stays outside.
  list.call('close_range', [3, ALL_DESCRIPTORS, CLOSE_RANGE_CLOEXEC], { target: 'descriptors' })
  for (const limit of spec.rlimits) appendRlimit(list, limit, limit.soft)
}

/** Before the user namespace is entered: to raise a hard limit takes the host's CAP_SYS_RESOURCE (man 2 prlimit). */
export function appendRaisedLimits(list: SyscallList, { rlimits }: ProcessSpec): void {
  for (const limit of rlimits) if (limit.isRaised) appendRlimit(list, limit, limit.hard)
}

function appendRlimit(list: SyscallList, { name, resource, hard }: Rlimit, soft: number): void {
  const limits = list.words([toRlimit(soft), toRlimit(hard)])
  list.call('prlimit64', [0, resource, limits, 0], { target: name })
}

function toRlimit(value: number): bigint {
  return value < 0 ? BigInt.asIntN(64, RLIM_INFINITY) : BigInt(value)
}

/**
 * Privileges down and execve. The order is fixed by what each call needs: the filter needs CAP_SYS_ADMIN, dropping from
 * the bounding set CAP_SETPCAP, changing ids CAP_SETUID (config.md of the OCI runtime specification leaves it open;
 * runc has the same).
 */
export function appendExec(
  list: SyscallList,
  spec: ProcessSpec,
  signals: BlockedSignals,
): ExecAttempts {
  if (spec.noNewPrivileges) list.call('prctl', [Prctl.SET_NO_NEW_PRIVS, 1, 0, 0, 0])
  if (spec.seccomp !== undefined) {
    const filter = list.bytes(spec.seccomp)
    // struct sock_fprog: a 16-bit count of 8-byte instructions, padding, a pointer
    const program = list.words([spec.seccomp.length / 8, filter])
    list.call('seccomp', [SECCOMP_SET_MODE_FILTER, 0, program], { target: 'filter' })
  }
  for (let capability = 0; capability <= LAST_CAPABILITY; capability++) {
    if (spec.capabilities.includes(capability)) continue
    list.call('prctl', [Prctl.CAPBSET_DROP, capability, 0, 0, 0], { ignoreError: true }) // unknown to older kernels
  }
  const { uid, gid, groups } = spec.user
  const groupBytes = Buffer.from(new Uint32Array(groups).buffer)
  list.call('setgroups', [groups.length, groups.length === 0 ? null : groupBytes])
  list.call('setresgid', [gid, gid, gid])
  list.call('setresuid', [uid, uid, uid])
  if (uid === 0) appendCapabilities(list, spec.capabilities)
  list.call('chdir', [spec.workingDir])
  list.call('umask', [0o022])
  if (spec.init === undefined) return appendProgram(list, spec, signals)
  return appendInit(list, spec.init, () => appendProgram(list, spec, signals))
}

/** In a session of its own. */
function appendProgram(
  list: SyscallList,
  spec: ProcessSpec,
  signals: BlockedSignals,
): ExecAttempts {
  list.call('setsid', [])
  if (spec.tty) list.call('ioctl', [0, Ioctl.TIOCSCTTY, 0], { target: 'terminal' })
  signals.clear()
  return appendExecve(list, spec)
}

/** The program becomes a child; this process, its signals still blocked, becomes init. */
function appendInit(
  list: SyscallList,
  { programFd, pipe: [readEnd, writeEnd] }: InitSpec,
  program: () => ExecAttempts,
): ExecAttempts {
  const pid = list.words([0])
  const flags = Clone.VM | Clone.VFORK | SIGCHLD
  const child = list.fork('clone', [flags, 0, 0, 0, 0], { result: pid, target: 'init' })
  const attempts = program()
  list.branch(child)
  list.call('write', [writeEnd, pid, 8], { target: 'init' })
  list.call('dup3', [readEnd, INIT_PIPE, 0], { target: 'init' })
  list.call('prctl', [Prctl.SET_CHILD_SUBREAPER, 1, 0, 0, 0]) // where it is not pid 1
  const [argv, environment] = [list.strings(['tsstack-init']), list.strings([])]
  list.call('execveat', [programFd, '', argv, environment, AT_EMPTY_PATH], { target: 'init' })
  return attempts
}

/** Root keeps what is in the bounding set; nothing is inheritable (CVE-2022-24769). */
function appendCapabilities(list: SyscallList, capabilities: readonly number[]): void {
  const words = new Uint32Array(6) // effective, permitted, inheritable: low words, then high words
  for (const capability of capabilities) {
    const half = capability < 32 ? 0 : 3
    const bit = 1 << (capability % 32)
    words[half] = ((words[half] ?? 0) | bit) >>> 0
    words[half + 1] = ((words[half + 1] ?? 0) | bit) >>> 0
  }
  const header = Buffer.from(new Uint32Array([CAPABILITY_VERSION_3, 0]).buffer)
  list.call('capset', [header, Buffer.from(words.buffer)])
}

/** A program without a slash is tried in each directory of the container's PATH; the last failure counts. */
function appendExecve(list: SyscallList, spec: ProcessSpec): ExecAttempts {
  const program = spec.argv[0] ?? ''
  const path = spec.environment['PATH'] ?? DEFAULT_PATH
  const candidates = program.includes('/')
    ? [program]
    : path.split(':').map((directory) => `${directory === '' ? '.' : directory}/${program}`)
  const argv = list.strings(spec.argv)
  const env = list.strings(
    Object.entries(spec.environment).map(([name, value]) => `${name}=${value}`),
  )
  const entries = candidates.map((candidate, index) =>
    list.call('execve', [candidate, argv, env], { ignoreError: index < candidates.length - 1 }),
  )
  return { entries, program }
}

const ENOENT = 2
const ENOTDIR = 20
const EACCES = 13
const ENOEXEC = 8

/** Docker's exit codes: 127 not found, 126 found but not executable. */
function execError(program: string, errno: number): TsstackError {
  const missing = errno === ENOENT || errno === ENOTDIR
  const reasons: Readonly<Record<number, string>> = {
    [EACCES]: 'permission denied',
    [ENOEXEC]: 'it is neither a program for this machine nor a script with a "#!" line',
  }
  const why = missing ? 'it is not in the image' : (reasons[errno] ?? errnoName(errno))
  return new TsstackError('FAILED_PRECONDITION', `Cannot execute "${program}": ${why}`, {
    hint: missing
      ? 'Check the spelling, the PATH, and that the interpreter named in its first line exists'
      : 'Check the file in the image; one of "configs:" takes "mode: 0755"',
    exitCode: missing ? 127 : 126,
  })
}

/** Makes a failed execve, and a clone beyond the limit of processes, readable; other failures stay as they are. */
export function explainExecFailure(
  error: unknown,
  list: SyscallList,
  attempts: ExecAttempts,
): unknown {
  if (!(error instanceof SyscallError)) return error
  if (isPastProcessLimit(error)) {
    return new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot execute "${attempts.program}": there are as many processes as the limit allows`,
      { cause: error, hint: 'Raise pids_limit or deploy.resources.limits.pids', exitCode: 126 },
    )
  }
  if (error.call === 'prlimit64') return rlimitError(error)
  if (error.call !== 'execve') return error
  const errnos = [...attempts.entries.map((entry) => -list.result(entry)), error.errno]
  const telling = errnos.find((errno) => errno > 0 && errno !== ENOENT && errno !== ENOTDIR)
  return execError(attempts.program, telling ?? ENOENT)
}

function rlimitError(error: SyscallError): TsstackError {
  const name = error.target ?? ''
  return new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot set ulimit "${name}": it is beyond what the daemon itself is allowed`,
    {
      cause: error,
      hint: `Raise it for the daemon (Limit${name.toUpperCase()}=), or lower it here`,
    },
  )
}

function isPastProcessLimit({ call, errnoName: name }: SyscallError): boolean {
  return (call === 'clone' || call === 'clone3') && name === 'EAGAIN'
}

/** Appends the writing of a short text to a file of the kernel. */
export function appendWrite(
  list: SyscallList,
  file: string,
  text: string,
  options: { readonly ignoreError: boolean },
): void {
  const fd = list.call('openat', [AT_FDCWD, file, Open.WRONLY | Open.CLOEXEC, 0], options)
  list.call('write', [fd, text, Buffer.byteLength(text)], { ...options, target: file })
}
