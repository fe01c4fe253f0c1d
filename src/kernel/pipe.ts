import { Open } from './constants.ts'
import { syscall } from './libc.ts'

/** man 2 pipe. Both ends are close-on-exec; the caller closes them. @param flags more of Open */
export function openPipe(flags = 0): [readEnd: number, writeEnd: number] {
  const pair = Buffer.alloc(8)
  syscall('pipe2', pair, Open.CLOEXEC | flags)
  return [pair.readInt32LE(0), pair.readInt32LE(4)]
}
