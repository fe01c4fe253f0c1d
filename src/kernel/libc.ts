/**
 * The door to the kernel: one function that makes a system call by name. Everything else in this room is built on it,
 * and no other room imports koffi.
 */
import os from 'node:os'
import koffi from 'koffi'
import { TsstackError } from '../errors.ts'
import { syscallNumber, type SyscallName } from './syscall-numbers.ts'

/** An integer, a pointer as an integer, a buffer (its address is passed), a path (NUL-terminated for the call) or a null pointer. */
export type SyscallArgument = number | bigint | Uint8Array | string | null

const library = koffi.load(null)
const LONG_AND_SIX = [
  'long',
  'intptr_t',
  'intptr_t',
  'intptr_t',
  'intptr_t',
  'intptr_t',
  'intptr_t',
]
const invoke = library.func('syscall', 'long', LONG_AND_SIX)

const ERRNO_NAMES = new Map(
  Object.entries(os.constants.errno).map(([name, value]) => [value, name]),
).set(os.constants.errno.EAGAIN, 'EAGAIN') // it has two names, and man pages use this one

/** The symbolic name of an errno value: 2 -> `ENOENT`. */
export function errnoName(errno: number): string {
  return ERRNO_NAMES.get(errno) ?? `errno ${errno}`
}

/** A system call that failed: which call, with what errno, on what. */
export class SyscallError extends TsstackError {
  readonly call: SyscallName
  readonly errno: number
  readonly errnoName: string
  readonly target: string | undefined

  constructor(call: SyscallName, errno: number, target?: string) {
    const name = errnoName(errno)
    super('SYSCALL_FAILED', `Cannot ${call}${target === undefined ? '' : ` "${target}"`}: ${name}`)
    this.call = call
    this.errno = errno
    this.errnoName = name
    this.target = target
  }
}

/** The address of a buffer's first byte. Valid as long as the caller keeps the buffer alive. */
export function addressOf(buffer: Uint8Array): number {
  return Number(koffi.address(buffer))
}

const pthreadSelf = library.func('pthread_self', 'uintptr_t', [])

/** Where the C library keeps the calling thread's own data (man 3 pthread_self). */
export function threadDataAddress(): number {
  return Number(pthreadSelf())
}

/** Buffers whose address went into a structure stay until this call: the collector does not know of the address. */
export function keepAlive(...buffers: readonly Uint8Array[]): void {
  if (buffers.length === 0) throw new RangeError('keepAlive() needs a buffer')
}

/** A view on memory at an address, `length` bytes long; not owned by V8. */
export function memoryAt(address: number, length: number): Buffer {
  return Buffer.from(koffi.view(address, length))
}

function toInteger(argument: SyscallArgument, keep: Uint8Array[]): number | bigint {
  if (typeof argument === 'number' || typeof argument === 'bigint') return argument
  if (argument === null) return 0
  const buffer = typeof argument === 'string' ? Buffer.from(`${argument}\0`) : argument
  keep.push(buffer)
  return addressOf(buffer)
}

/**
 * Makes a system call on the calling thread and blocks until it returns.
 * @returns the call's result, or the negated errno: never throws for a failing call (man 2 syscall)
 */
export function trySyscall(name: SyscallName, ...args: readonly SyscallArgument[]): number {
  const keep: Uint8Array[] = [] // the buffers must outlive the call
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = args.map((argument) =>
    toInteger(argument, keep),
  )
  const result = invoke(syscallNumber(name), a, b, c, d, e, f) as number
  if (result !== -1) return result
  return keep.length >= 0 ? -koffi.errno() : result
}

/**
 * Makes a system call on a thread of libuv's pool: for calls that wait for a network.
 * @returns as `trySyscall`
 */
export async function trySyscallAsync(
  name: SyscallName,
  ...args: readonly SyscallArgument[]
): Promise<number> {
  const keep: Uint8Array[] = []
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = args.map((argument) =>
    toInteger(argument, keep),
  )
  const result = await new Promise<number>((resolve, reject) => {
    invoke.async(syscallNumber(name), a, b, c, d, e, f, (error: Error | null, value: number) => {
      if (error === null) resolve(value === -1 ? -koffi.errno() : value)
      else reject(error)
    })
  })
  return keep.length >= 0 ? result : 0
}

/**
 * Makes a system call on the calling thread and blocks until it returns.
 * @throws {SyscallError} with the call's name and errno; the first path argument is named as its target
 */
export function syscall(name: SyscallName, ...args: readonly SyscallArgument[]): number {
  const result = trySyscall(name, ...args)
  if (result >= 0) return result
  const target = args.find((argument) => typeof argument === 'string')
  throw new SyscallError(name, -result, target)
}
