/** The few commands of bpf(2) that attach a program to a control group. */
import { closeSync } from 'node:fs'
import { addressOf, keepAlive, syscall, SyscallError, trySyscall } from './libc.ts'

/** include/uapi/linux/bpf.h */
const Command = { PROG_LOAD: 5, PROG_ATTACH: 8, PROG_GET_FD_BY_ID: 13, PROG_QUERY: 16 } as const
const PROG_TYPE_CGROUP_DEVICE = 15
const CGROUP_DEVICE = 6
const ALLOW_MULTI = 2
const REPLACE = 4
const ATTRIBUTE_BYTES = 128
const MAX_PROGRAMS = 64

/**
 * Puts a program that judges the opening of devices on a control group (v2), in place of one that we put there.
 * @param directory - a descriptor of the group's directory
 * @throws {SyscallError} EPERM where BPF is not for us, EINVAL for a program that the kernel can't verify
 */
export function attachDeviceProgram(directory: number, instructions: Uint8Array): void {
  const program = loadDeviceProgram(instructions)
  try {
    const before = attachedProgram(directory)
    const attribute = Buffer.alloc(ATTRIBUTE_BYTES)
    attribute.writeUInt32LE(directory, 0)
    attribute.writeUInt32LE(program, 4)
    attribute.writeUInt32LE(CGROUP_DEVICE, 8)
    attribute.writeUInt32LE(before === undefined ? ALLOW_MULTI : ALLOW_MULTI | REPLACE, 12)
    attribute.writeUInt32LE(before ?? 0, 16)
    try {
      bpf(Command.PROG_ATTACH, attribute)
    } finally {
      if (before !== undefined) closeSync(before)
    }
  } finally {
    closeSync(program) // the group holds it
  }
}

function bpf(command: number, attribute: Buffer): number {
  const result = trySyscall('bpf', command, attribute, attribute.length)
  if (result < 0) throw new SyscallError('bpf', -result, 'device program')
  return result
}

function loadDeviceProgram(instructions: Uint8Array): number {
  const code = Buffer.from(instructions)
  const license = Buffer.from('Apache-2.0\0')
  const attribute = Buffer.alloc(ATTRIBUTE_BYTES)
  attribute.writeUInt32LE(PROG_TYPE_CGROUP_DEVICE, 0)
  attribute.writeUInt32LE(code.length / 8, 4)
  attribute.writeBigUInt64LE(BigInt(addressOf(code)), 8)
  attribute.writeBigUInt64LE(BigInt(addressOf(license)), 16)
  attribute.write('tsstack_devices', 48, 'latin1') // prog_name
  const program = bpf(Command.PROG_LOAD, attribute)
  keepAlive(code, license)
  return program
}

/** @returns a descriptor of the program that is there, which the caller closes */
function attachedProgram(directory: number): number | undefined {
  const ids = Buffer.alloc(MAX_PROGRAMS * 4)
  const attribute = Buffer.alloc(ATTRIBUTE_BYTES)
  attribute.writeUInt32LE(directory, 0)
  attribute.writeUInt32LE(CGROUP_DEVICE, 4)
  attribute.writeBigUInt64LE(BigInt(addressOf(ids)), 16)
  attribute.writeUInt32LE(MAX_PROGRAMS, 24)
  syscall('bpf', Command.PROG_QUERY, attribute, attribute.length)
  if (attribute.readUInt32LE(24) === 0) return undefined
  const wanted = Buffer.alloc(ATTRIBUTE_BYTES)
  wanted.writeUInt32LE(ids.readUInt32LE(0), 0) // read here, so it has been alive
  return bpf(Command.PROG_GET_FD_BY_ID, wanted)
}
