/**
 * System call numbers, [x86-64, arm64]. From the kernel's arch/x86/entry/syscalls/syscall_64.tbl and
 * include/uapi/asm-generic/unistd.h; both are ABI and never change. Calls without an arm64 number are not here:
 * use the *at form.
 */
const NUMBERS = {
  read: [0, 63], write: [1, 64], close: [3, 57], lseek: [8, 62], mmap: [9, 222], mprotect: [10, 226], munmap: [11, 215],
  rt_sigaction: [13, 134], rt_sigprocmask: [14, 135], ioctl: [16, 29], dup: [32, 23], getpid: [39, 172],
  socket: [41, 198], connect: [42, 203], sendto: [44, 206], recvfrom: [45, 207], sendmsg: [46, 211], recvmsg: [47, 212],
  bind: [49, 200], listen: [50, 201], getsockname: [51, 204], socketpair: [53, 199], setsockopt: [54, 208],
  getsockopt: [55, 209], clone: [56, 220], exit: [60, 93], wait4: [61, 260], kill: [62, 129], fcntl: [72, 25],
  ftruncate: [77, 46], chdir: [80, 49], fchdir: [81, 50], fchmod: [91, 52], fchown: [93, 55], umask: [95, 166],
  setsid: [112, 157], setgroups: [116, 159], setresuid: [117, 147], setresgid: [119, 149], capget: [125, 90],
  capset: [126, 91], statfs: [137, 43], fstatfs: [138, 44], prctl: [157, 167], pivot_root: [155, 41], chroot: [161, 51],
  mount: [165, 40], umount2: [166, 39], sethostname: [170, 161], setdomainname: [171, 162], lsetxattr: [189, 6],
  llistxattr: [195, 12], lgetxattr: [192, 9], exit_group: [231, 94], epoll_ctl: [233, 21], mkdirat: [258, 34],
  mknodat: [259, 33], fchownat: [260, 54], unlinkat: [263, 35], renameat2: [316, 276], linkat: [265, 37],
  symlinkat: [266, 36], readlinkat: [267, 78], fchmodat: [268, 53], openat: [257, 56], newfstatat: [262, 79],
  unshare: [272, 97], splice: [275, 76], tee: [276, 77], utimensat: [280, 88], fallocate: [285, 47], eventfd2: [290, 19],
  epoll_create1: [291, 20], dup3: [292, 24], pipe2: [293, 59],
  flock: [73, 32], ppoll: [271, 73], waitid: [247, 95], prlimit64: [302, 261], setns: [308, 268],
  sched_setaffinity: [203, 122], seccomp: [317, 277], memfd_create: [319, 279], execveat: [322, 281], execve: [59, 221],
  copy_file_range: [326, 285], epoll_pwait: [281, 22], pidfd_send_signal: [424, 424], open_tree: [428, 428],
  move_mount: [429, 429], fsopen: [430, 430], fsconfig: [431, 431], fsmount: [432, 432], fspick: [433, 433],
  pidfd_open: [434, 434], clone3: [435, 435], close_range: [436, 436], openat2: [437, 437], pidfd_getfd: [438, 438],
  faccessat2: [439, 439], mount_setattr: [442, 442], fchmodat2: [452, 452],
} as const satisfies Record<string, readonly [number, number]>

export type SyscallName = keyof typeof NUMBERS

const column = process.arch === 'arm64' ? 1 : 0

/** The number of a system call on this machine's architecture. */
export function syscallNumber(name: SyscallName): number {
  return NUMBERS[name][column]
}
