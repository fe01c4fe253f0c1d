/**
 * The profile of every container that does not ask for another: what Docker's default profile means (moby/profiles,
 * seccomp/, 2026), so that images that run there run here. An allow-list; what is not in it gives EPERM.
 */
import type { SeccompAction, SeccompCondition, SeccompProfile, SeccompRule } from './profile.ts'

const ALLOW: SeccompAction = { kind: 'allow' }
const EPERM = 1
const ENOSYS = 38

/** In the order of the x86-64 numbers, then those that only 32-bit programs have. */
const ALWAYS = `
  read write open close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction
  rt_sigprocmask rt_sigreturn ioctl pread64 pwrite64 readv writev access pipe select sched_yield
  mremap msync mincore madvise shmget shmat shmctl dup dup2 pause nanosleep getitimer alarm
  setitimer getpid sendfile connect accept sendto recvfrom sendmsg recvmsg shutdown bind listen
  getsockname getpeername socketpair setsockopt getsockopt fork vfork execve exit wait4 kill uname
  semget semop semctl shmdt msgget msgsnd msgrcv msgctl fcntl flock fsync fdatasync truncate
  ftruncate getdents getcwd chdir fchdir rename mkdir rmdir creat link unlink symlink readlink
  chmod fchmod chown fchown lchown umask gettimeofday getrlimit getrusage sysinfo times getuid
  getgid setuid setgid geteuid getegid setpgid getppid getpgrp setsid setreuid setregid getgroups
  setgroups setresuid getresuid setresgid getresgid getpgid setfsuid setfsgid getsid capget capset
  rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_sigsuspend sigaltstack utime mknod statfs
  fstatfs getpriority setpriority sched_setparam sched_getparam sched_setscheduler
  sched_getscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval mlock
  munlock mlockall munlockall prctl adjtimex setrlimit sync gettid readahead setxattr lsetxattr
  fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr removexattr lremovexattr
  fremovexattr tkill time futex sched_setaffinity sched_getaffinity set_thread_area io_setup
  io_destroy io_getevents io_submit io_cancel get_thread_area epoll_create epoll_ctl_old
  epoll_wait_old remap_file_pages getdents64 set_tid_address restart_syscall semtimedop fadvise64
  timer_create timer_settime timer_gettime timer_getoverrun timer_delete clock_gettime
  clock_getres clock_nanosleep exit_group epoll_wait epoll_ctl tgkill utimes mq_open mq_unlink
  mq_timedsend mq_timedreceive mq_notify mq_getsetattr waitid ioprio_set ioprio_get inotify_init
  inotify_add_watch inotify_rm_watch openat mkdirat mknodat fchownat futimesat newfstatat unlinkat
  renameat linkat symlinkat readlinkat fchmodat faccessat pselect6 ppoll set_robust_list
  get_robust_list splice tee sync_file_range vmsplice utimensat epoll_pwait signalfd
  timerfd_create eventfd fallocate timerfd_settime timerfd_gettime accept4 signalfd4 eventfd2
  epoll_create1 dup3 pipe2 inotify_init1 preadv pwritev rt_tgsigqueueinfo recvmmsg fanotify_mark
  prlimit64 name_to_handle_at clock_adjtime syncfs sendmmsg getcpu sched_setattr sched_getattr
  renameat2 seccomp getrandom memfd_create execveat membarrier mlock2 copy_file_range preadv2
  pwritev2 pkey_mprotect pkey_alloc pkey_free statx io_pgetevents rseq uretprobe pidfd_send_signal
  pidfd_open close_range openat2 faccessat2 epoll_pwait2 landlock_create_ruleset landlock_add_rule
  landlock_restrict_self memfd_secret process_mrelease futex_waitv cachestat fchmodat2
  map_shadow_stack futex_wake futex_wait futex_requeue statmount listmount mseal setxattrat
  getxattrat listxattrat removexattrat waitpid socketcall ipc sigreturn sigprocmask _llseek
  _newselect ugetrlimit mmap2 truncate64 ftruncate64 stat64 lstat64 fstat64 lchown32 getuid32
  getgid32 geteuid32 getegid32 setreuid32 setregid32 getgroups32 setgroups32 fchown32 setresuid32
  getresuid32 setresgid32 getresgid32 chown32 setuid32 setgid32 setfsuid32 setfsgid32 fcntl64
  sendfile64 statfs64 fstatfs64 fadvise64_64 fstatat64 clock_gettime64 clock_adjtime64
  clock_getres_time64 clock_nanosleep_time64 timer_gettime64 timer_settime64 timerfd_gettime64
  timerfd_settime64 utimensat_time64 pselect6_time64 ppoll_time64 io_pgetevents_time64
  recvmmsg_time64 mq_timedsend_time64 mq_timedreceive_time64 semtimedop_time64
  rt_sigtimedwait_time64 futex_time64 sched_rr_get_interval_time64
`

/**
 * Socket families that are not let through though the kernel may have them: 12, 19, 23, 25, 34 and 37 (DECnet, Econet,
 * IrDA, WANPIPE, ISDN, CAIF) and 20 (ATM SVC) are abandoned code; 38 (the kernel's cryptography) had holes and no use in
 * a container; 40 (vsock) knows no network namespaces and reaches the hypervisor.
 */
const REFUSED_FAMILIES = [12, 19, 20, 23, 25, 34, 37, 38, 40]
/** MCTP: the newest that was looked at. */
const LAST_FAMILY = 45

/** Flags of clone(2) that make namespaces: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const NAMESPACE_FLAGS = 0x7e02_0000n

/** PER_LINUX, PER_LINUX32, each also with UNAME26; all ones only asks. */
const PERSONALITIES = [0n, 0x8n, 0x2_0000n, 0x2_0008n, 0xffff_ffffn]

/** capability -> what it opens. Two lines for one call: either will do. */
const BY_CAPABILITY: readonly (readonly [capability: string, names: string])[] = [
  ['CAP_DAC_READ_SEARCH', 'open_by_handle_at'],
  [
    'CAP_SYS_ADMIN',
    `bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr
     lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl
     quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare`,
  ],
  ['CAP_SYS_BOOT', 'reboot'],
  ['CAP_SYS_CHROOT', 'chroot'],
  ['CAP_SYS_MODULE', 'delete_module init_module finit_module'],
  ['CAP_SYS_PACCT', 'acct'],
  ['CAP_SYS_PTRACE', 'kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace'],
  ['CAP_SYS_RAWIO', 'iopl ioperm'],
  ['CAP_SYS_TIME', 'settimeofday stime clock_settime clock_settime64'],
  ['CAP_SYS_TTY_CONFIG', 'vhangup'],
  ['CAP_SYS_NICE', 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node'],
  ['CAP_SYSLOG', 'syslog'],
  ['CAP_BPF', 'bpf'],
  ['CAP_PERFMON', 'perf_event_open'],
]

function words(text: string): string[] {
  return text.trim().split(/\s+/)
}

function allow(names: string, more: Partial<SeccompRule> = {}): SeccompRule {
  return { names: words(names), action: ALLOW, conditions: [], ...more }
}

// The upper bound holds for all 64 bits, so that no bits above the int hide a refused family.
const socketFamilies: readonly SeccompCondition[] = [
  { index: 0, operator: 'le', value: BigInt(LAST_FAMILY) },
  ...REFUSED_FAMILIES.map((family): SeccompCondition => ({
    index: 0,
    operator: 'ne',
    value: BigInt(family),
  })),
]

const noNamespaces: SeccompCondition = {
  index: 0,
  operator: 'masked-eq',
  value: NAMESPACE_FLAGS,
  masked: 0n,
}

const withoutAdmin = { excludes: { caps: ['CAP_SYS_ADMIN'] } }

export const DEFAULT_SECCOMP_PROFILE: SeccompProfile = {
  defaultAction: { kind: 'errno', value: EPERM },
  allow32Bit: true,
  rules: [
    allow(ALWAYS),
    // Before 4.8 a tracer could get around the filter.
    allow('process_vm_readv process_vm_writev ptrace', { includes: { minKernel: [4, 8] } }),
    allow('socket', { conditions: socketFamilies }),
    ...PERSONALITIES.map((value) =>
      allow('personality', { conditions: [{ index: 0, operator: 'eq', value }] }),
    ),
    allow('arch_prctl modify_ldt', { includes: { arches: ['amd64'] } }),
    allow('clone', { ...withoutAdmin, conditions: [noNamespaces] }),
    // Its flags are behind a pointer, out of a filter's sight; ENOSYS makes programs take clone instead.
    {
      names: ['clone3'],
      action: { kind: 'errno', value: ENOSYS },
      conditions: [],
      ...withoutAdmin,
    },
    ...BY_CAPABILITY.map(([capability, names]) =>
      allow(names, { includes: { caps: [capability] } }),
    ),
  ],
}
