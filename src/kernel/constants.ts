/** Constants of the kernel's ABI, by header. Only what the code uses. */

/** include/uapi/linux/sched.h (man 2 clone) */
export const Clone = {
  VM: 0x100,
  FILES: 0x400,
  VFORK: 0x4000,
  PARENT: 0x8000,
  NEWNS: 0x0002_0000,
  NEWCGROUP: 0x0200_0000,
  NEWUTS: 0x0400_0000,
  NEWIPC: 0x0800_0000,
  NEWUSER: 0x1000_0000,
  NEWPID: 0x2000_0000,
  NEWNET: 0x4000_0000,
  /** clone3 only: handlers of the caller become default in the child (Linux 5.5). */
  CLEAR_SIGHAND: 0x1_0000_0000,
  /** clone3 only: the child is born in the cgroup v2 directory of `cgroup` (Linux 5.7). */
  INTO_CGROUP: 0x2_0000_0000,
} as const

/** include/uapi/asm-generic/fcntl.h; the values below are the same on x86-64 and arm64 */
export const Open = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  TRUNC: 0o1000,
  NONBLOCK: 0o4000,
  NOCTTY: 0o400,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
} as const
/** This one differs between the architectures. */
export const O_DIRECTORY = process.arch === 'arm64' ? 0o40000 : 0o200000

export const AT_FDCWD = -100
export const AT_EMPTY_PATH = 0x1000
export const AT_RECURSIVE = 0x8000

/** include/uapi/linux/mount.h: mount(2) */
export const MountFlag = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  REMOUNT: 32,
  BIND: 4096,
  REC: 16384,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
  SHARED: 1 << 20,
} as const
export const MNT_DETACH = 2

/** include/uapi/linux/mount.h: the mount API of Linux 5.2 and later */
export const MountAttribute = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  IDMAP: 0x0010_0000,
} as const
export const OPEN_TREE_CLONE = 1
export const MOVE_MOUNT_F_EMPTY_PATH = 4
export const MOVE_MOUNT_T_EMPTY_PATH = 0x40
export const FsConfig = { SET_FLAG: 0, SET_STRING: 1, CREATE: 6 } as const

/** include/uapi/linux/prctl.h */
export const Prctl = {
  SET_PDEATHSIG: 1,
  SET_DUMPABLE: 4,
  SET_NAME: 15,
  CAPBSET_DROP: 24,
  SET_SECUREBITS: 28,
  SET_CHILD_SUBREAPER: 36,
  SET_NO_NEW_PRIVS: 38,
} as const

/** Of close_range: all from some on (man 2 close_range). */
export const HIGHEST_DESCRIPTOR = 0xffff_ffff

/** include/uapi/linux/wait.h: any child, whatever its exit signal */
export const WAIT_ALL = 0x4000_0000
export const WNOHANG = 1

export const SIG_SETMASK = 2

/** include/uapi/asm-generic/ioctls.h */
export const Ioctl = {
  TIOCSCTTY: 0x540e,
  TIOCSWINSZ: 0x5414,
  TIOCSPTLCK: 0x4004_5431,
  TIOCGPTPEER: 0x5441,
} as const
