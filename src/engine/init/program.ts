/**
 * `init: true`: a first process that reaps orphans and passes signals on, as tini does for Docker; nothing of it lies on
 * the host or in the image. It is a static program of some 160 bytes (x64.ts, arm64.ts), executed from sealed memory.
 *
 *   pid 1 of the container ──clone(VM|VFORK)──▶ the service's program    (both have dropped their privileges by then)
 *          │ writes the program's pid into a pipe, which becomes descriptor 3
 *          └──execveat(memory)──▶ init: waits for any signal, all being blocked
 *                                   SIGCHLD: reap; when it was the program, leave with its exit code
 *                                   others: kill(program, signal)
 */
import { writeSync } from 'node:fs'
import { syscall } from '../../kernel/libc.ts'
import { ROWS as ARM64 } from './arm64.ts'
import { ROWS as X64 } from './x64.ts'

const BASE = 0x40_0000
const HEADER_BYTES = 64
const SEGMENT_BYTES = 56
const EM_X86_64 = 62
const EM_AARCH64 = 183

const MFD_CLOEXEC = 1
const MFD_ALLOW_SEALING = 2
const F_ADD_SEALS = 1033
/** SEAL, SHRINK, GROW, WRITE: a container that opens /proc/1/exe can change nothing (CVE-2019-5736). */
const SEALS = 1 | 2 | 4 | 8

let programFd: number | undefined

/** A descriptor of the program, close-on-exec; made once, kept as long as this process. */
export function initProgram(): number {
  programFd ??= sealedMemory(initElf(process.arch === 'arm64' ? 'arm64' : 'x64'))
  return programFd
}

/** man 2 memfd_create, man 2 fcntl. */
function sealedMemory(content: Buffer): number {
  const fd = syscall('memfd_create', 'tsstack-init', MFD_CLOEXEC | MFD_ALLOW_SEALING)
  writeSync(fd, content)
  syscall('fcntl', fd, F_ADD_SEALS, SEALS)
  return fd
}

/** The program file: one segment that may be read and executed (System V ABI, ELF-64). */
export function initElf(architecture: 'x64' | 'arm64'): Buffer {
  const rows = architecture === 'arm64' ? ARM64 : X64
  const code = Buffer.concat(rows.map(([bytes]) => Buffer.from(bytes, 'hex')))
  const start = HEADER_BYTES + SEGMENT_BYTES
  const header = Buffer.alloc(start)
  header.write('\x7fELF\x02\x01\x01', 'latin1')
  header.writeUInt16LE(2, 16) // ET_EXEC
  header.writeUInt16LE(architecture === 'arm64' ? EM_AARCH64 : EM_X86_64, 18)
  header.writeUInt32LE(1, 20)
  header.writeBigUInt64LE(BigInt(BASE + start), 24) // e_entry
  header.writeBigUInt64LE(BigInt(HEADER_BYTES), 32) // e_phoff
  header.writeUInt16LE(HEADER_BYTES, 52)
  header.writeUInt16LE(SEGMENT_BYTES, 54)
  header.writeUInt16LE(1, 56)
  const length = BigInt(start + code.length)
  header.writeUInt32LE(1, 64) // PT_LOAD
  header.writeUInt32LE(5, 68) // PF_R | PF_X
  header.writeBigUInt64LE(0n, 72)
  header.writeBigUInt64LE(BigInt(BASE), 80)
  header.writeBigUInt64LE(BigInt(BASE), 88)
  header.writeBigUInt64LE(length, 96)
  header.writeBigUInt64LE(length, 104)
  header.writeBigUInt64LE(0x1000n, 112)
  return Buffer.concat([header, code])
}
