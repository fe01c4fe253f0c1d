/**
 * The call routine for arm64: runs the entries of a SyscallList (see ../syscall-list.ts for their layout).
 * Arguments as of the AAPCS64: x0 = the list's header. Each row is one instruction: its bytes, and what `objdump`
 * makes of them (a test compares). A cloned child never touches the stack.
 */
export const ROWS: readonly (readonly [bytes: string, assembly: string, why?: string])[] = [
  ['fd7bbda9', 'stp x29, x30, [sp, #-48]!', 'keep the callee-saved registers of the C ABI'],
  ['f35301a9', 'stp x19, x20, [sp, #16]'],
  ['f51300f9', 'str x21, [sp, #32]'],
  ['f30300aa', 'mov x19, x0', "x19: the program's header"],
  ['14800091', 'add x20, x0, #0x20', 'x20: the current entry'],
  ['150080d2', 'mov x21, #0x0', 'x21: 1 in a cloned child'],
  // next: (offset 0x18)
  ['880240a9', 'ldp x8, x0, [x20]', "the call's number and its six arguments"],
  ['810a41a9', 'ldp x1, x2, [x20, #16]'],
  ['831242a9', 'ldp x3, x4, [x20, #32]'],
  ['851a40f9', 'ldr x5, [x20, #48]'],
  ['010000d4', 'svc #0x0', 'clobbers x0 only'],
  ['89aa43a9', 'ldp x9, x10, [x20, #56]', 'where the result goes; the flags'],
  ['490000b4', 'cbz x9, 38'],
  ['200100f9', 'str x0, [x9]'],
  ['1ffc3fb1', 'cmn x0, #0xfff', '-4095..-1 is an errno'],
  ['02020054', 'b.cs 7c'],
  ['ea001836', 'tbz w10, #3, 5c', 'FORK: who am I?'],
  ['800000b4', 'cbz x0, 54'],
  ['600e00f9', 'str x0, [x19, #24]', 'the parent keeps the pid: the child may share this memory'],
  ['942640f9', 'ldr x20, [x20, #72]', 'and goes on at the entry named'],
  ['f2ffff17', 'b 18'],
  // child: (offset 0x54)
  ['350080d2', 'mov x21, #0x1'],
  ['07000014', 'b 74'],
  ['aa000836', 'tbz w10, #1, 70', 'LEAVE_PARENT'],
  ['a00000b4', 'cbz x0, 74', 'the new child goes on'],
  ['000080d2', 'mov x0, #0x0', 'its parent leaves with status 0'],
  ['c80b80d2', 'mov x8, #0x5e', 'exit_group'],
  ['010000d4', 'svc #0x0'],
  ['aa011037', 'tbnz w10, #2, a4', 'RETURN'],
  // advance: (offset 0x74)
  ['94420191', 'add x20, x20, #0x50', 'the next entry'],
  ['e8ffff17', 'b 18'],
  // error: (offset 0x7c)
  ['caff0737', 'tbnz w10, #0, 74', 'IGNORE_ERROR'],
  ['740200a9', 'stp x20, x0, [x19]', 'say which entry failed, and how'],
  ['b50000b5', 'cbnz x21, 98'],
  ['740a40f9', 'ldr x20, [x19, #16]', 'the parent runs the clean-up entries, once'],
  ['d40000b4', 'cbz x20, a4'],
  ['7f0a00f9', 'str xzr, [x19, #16]'],
  ['e1ffff17', 'b 18'],
  // die: (offset 0x98)
  ['e00f80d2', 'mov x0, #0x7f'],
  ['c80b80d2', 'mov x8, #0x5e'],
  ['010000d4', 'svc #0x0'],
  // return: (offset 0xa4)
  ['f51340f9', 'ldr x21, [sp, #32]'],
  ['f35341a9', 'ldp x19, x20, [sp, #16]'],
  ['fd7bc3a8', 'ldp x29, x30, [sp], #48'],
  ['c0035fd6', 'ret'],
]
