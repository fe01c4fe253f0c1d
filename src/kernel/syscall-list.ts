/**
 * A list of system calls as data: the way in which a container is started (Node can't fork). TypeScript writes the
 * list into memory of its own; a fixed routine of machine code (call-routine/) runs it, clones included. A child that
 * shares the daemon's memory (CLONE_VM|CLONE_VFORK) runs its part of the list and ends in execve; it touches neither a
 * stack nor the JS heap.
 *
 * Layout in memory, all words 64 bits:
 *
 *   header   0 failed entry | 8 its result | 16 entry where the parent cleans up after an error | 24 the forked process
 *   entry    0 number | 8..55 six arguments | 56 where the result goes, or 0 | 64 flags | 72 entry for the parent
 *   data     strings, structures, vectors, each 8-byte aligned
 *
 * On an error the routine records the entry and its result; a child then leaves with status 127, the parent goes on at
 * the clean-up entry. Memory is shared, so no pipe is needed to learn which call failed.
 */
import koffi from 'koffi'
import { ROWS as ARM64 } from './call-routine/arm64.ts'
import { ROWS as X64 } from './call-routine/x64.ts'
import { SyscallError, memoryAt, syscall } from './libc.ts'
import { syscallNumber, type SyscallName } from './syscall-numbers.ts'

const HEADER_BYTES = 32
const ENTRY_BYTES = 80
const RESULT_OFFSET = 56

const Flag = { IgnoreError: 1, LeaveParent: 2, Return: 4, Fork: 8 } as const

const PROT_READ = 1
const PROT_WRITE = 2
const PROT_EXEC = 4
const MAP_PRIVATE_ANONYMOUS = 0x22

type Routine = ((list: number) => number) & {
  async: (list: number, done: (error: Error | null, result: number) => void) => void
}

let routine: Routine | undefined
let routinePage = 0

/** Where the machine code lies. */
export function routineAddress(): number {
  routine ??= loadRoutine()
  return routinePage
}

/** The machine code, in a page that is written once and then executable, never both. */
function loadRoutine(): Routine {
  const code = Buffer.concat(
    (process.arch === 'arm64' ? ARM64 : X64).map(([bytes]) => Buffer.from(bytes, 'hex')),
  )
  const page = syscall('mmap', 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0)
  code.copy(memoryAt(page, 4096))
  syscall('mprotect', page, 4096, PROT_READ | PROT_EXEC)
  routinePage = page
  return koffi.decode(page, koffi.proto('int64 tsstack_run_list(intptr_t list)')) as Routine
}

/** An entry of the list, to refer to its result. */
export interface Entry {
  readonly index: number
}

/** Bytes or pointers that live in the list's memory; as an argument it stands for their address. */
export interface Block {
  readonly offset: number
}

/** Strings and blocks become addresses; an Entry becomes that entry's result, once. */
export type ListArgument = number | bigint | string | Uint8Array | null | Block | Entry

interface Draft {
  readonly name: SyscallName
  readonly args: readonly ListArgument[]
  readonly target: string | undefined
  readonly result: Block | undefined
  flags: number
  parentContinues: number | undefined
}

export interface CallOptions {
  /** Goes on whatever the call returns. */
  readonly ignoreError?: boolean
  /** After a nested clone: the parent leaves with status 0, the child goes on. */
  readonly leaveParent?: boolean
  /** A word that gets the result. Of a clone that shares memory it is the pid once the child has executed a program. */
  readonly result?: Block
  /** What the call works on, for the error message; default: the first string argument. */
  readonly target?: string
}

/** Builds a list, runs it once, and gives the results. Not reusable. */
export class SyscallList {
  readonly #drafts: Draft[] = []
  readonly #data: { offset: number; bytes: Uint8Array }[] = []
  readonly #pointers: { offset: number; to: Block }[] = []
  #dataLength = 0
  #cleanUp: number | undefined
  #memory: Buffer | undefined
  #address = 0

  /** Takes memory of at least this size now, so that its address is known before the list is complete. */
  reserve(bytes: number): number {
    this.#allocate(bytes)
    return this.#address
  }

  /** Appends a call. */
  call(name: SyscallName, args: readonly ListArgument[], options: CallOptions = {}): Entry {
    const target = options.target ?? args.find((argument) => typeof argument === 'string')
    const flags =
      (options.ignoreError ? Flag.IgnoreError : 0) | (options.leaveParent ? Flag.LeaveParent : 0)
    const { result } = options
    this.#drafts.push({ name, args, target, flags, result, parentContinues: undefined })
    return { index: this.#drafts.length - 1 }
  }

  /**
   * Appends a clone whose child goes on with the next entry. The caller goes on with the entries that `parent` appends;
   * they run after an error, too, so they must undo what this thread did before the clone.
   */
  fork(name: 'clone3' | 'clone', args: readonly ListArgument[], options: CallOptions = {}): Entry {
    const entry = this.call(name, args, options)
    const draft = this.#drafts[entry.index]
    if (draft !== undefined) draft.flags |= Flag.Fork
    return entry
  }

  /** A child that forked goes on here; the list goes on, too. */
  branch(fork: Entry): void {
    const draft = this.#drafts[fork.index]
    if (draft === undefined) throw new RangeError('branch() needs the entry of fork()')
    draft.parentContinues = this.#drafts.length
  }

  /** Appends what the caller of `fork` does next; ends the list. */
  parent(fork: Entry, append: () => void): void {
    const draft = this.#drafts[fork.index]
    if (draft === undefined) throw new RangeError('parent() needs the entry of fork()')
    draft.parentContinues = this.#drafts.length
    this.#cleanUp = this.#drafts.length
    append()
    this.call('getpid', [])
    this.#last().flags |= Flag.Return
  }

  /** Appends a call that is made again and again as long as it returns more than 0. */
  repeat(name: SyscallName, args: readonly ListArgument[]): void {
    const { index } = this.call(name, args, { ignoreError: true })
    const draft = this.#last()
    draft.flags |= Flag.Fork // "if more than 0, go on at": at itself
    draft.parentContinues = index
  }

  /** Bytes in the list's memory. */
  bytes(bytes: Uint8Array): Block {
    const offset = this.#dataLength
    this.#data.push({ offset, bytes })
    this.#dataLength += (bytes.length + 7) & ~7
    return { offset }
  }

  /** A NULL-terminated vector of strings: argv, envp. */
  strings(values: readonly string[]): Block {
    const blocks = values.map((value) => this.bytes(Buffer.from(`${value}\0`)))
    return this.words([...blocks, 0])
  }

  /** A structure of 64-bit words; a block stands for its address. */
  words(values: readonly (number | bigint | Block)[]): Block {
    const bytes = Buffer.alloc(values.length * 8)
    const block = this.bytes(bytes)
    values.forEach((value, index) => {
      if (typeof value === 'object')
        this.#pointers.push({ offset: block.offset + index * 8, to: value })
      else bytes.writeBigInt64LE(BigInt(value), index * 8)
    })
    return block
  }

  /** A result of an entry, after the run. */
  result(entry: Entry): number {
    return Number(this.#view().readBigInt64LE(HEADER_BYTES + entry.index * ENTRY_BYTES + 72))
  }

  /** The process that `fork` made, as the caller sees it, after the run. */
  forkedPid(): number {
    return Number(this.#view().readBigInt64LE(24))
  }

  /** The bytes of a block, after the run: what the kernel wrote into it. */
  read(block: Block, length: number): Buffer {
    return Buffer.from(
      this.#view().subarray(
        this.#dataStart() + block.offset,
        this.#dataStart() + block.offset + length,
      ),
    )
  }

  /**
   * Runs the list on a thread of the pool; the event loop goes on. The list's memory stays until `free`.
   * @throws {SyscallError} naming the call that failed, in whichever process
   */
  async run(): Promise<void> {
    this.#compile()
    routine ??= loadRoutine()
    const { async: start } = routine
    await new Promise<void>((resolve, reject) => {
      start(this.#address, (error) => {
        if (error === null) resolve()
        else reject(error)
      })
    })
    this.#check()
  }

  /** As `run`, on the calling thread. */
  runSync(): void {
    this.#compile()
    routine ??= loadRoutine()
    routine(this.#address)
    this.#check()
  }

  /** Gives the memory back. Safe to call twice; the results are gone. */
  free(): void {
    if (this.#memory === undefined) return
    syscall('munmap', this.#address, this.#memory.length)
    this.#memory = undefined
  }

  #last(): Draft {
    const draft = this.#drafts.at(-1)
    if (draft === undefined) throw new RangeError('the list is empty')
    return draft
  }

  #view(): Buffer {
    if (this.#memory === undefined) throw new RangeError('the list has not run')
    return this.#memory
  }

  #dataStart(): number {
    return HEADER_BYTES + this.#drafts.length * ENTRY_BYTES
  }

  #compile(): void {
    if (this.#cleanUp === undefined) this.#last().flags |= Flag.Return
    // Strings become blocks first, so that the size is known.
    const args = this.#drafts.map((draft) => draft.args.map((argument) => this.#toWord(argument)))
    const length = this.#dataStart() + this.#dataLength
    const memory = this.#memory ?? this.#allocate(length)
    if (memory.length < length)
      throw new RangeError(`the list needs ${length} bytes, ${memory.length} are reserved`)
    const dataAddress = this.#address + this.#dataStart()
    for (const { offset, bytes } of this.#data) memory.set(bytes, this.#dataStart() + offset)
    for (const { offset, to } of this.#pointers) {
      memory.writeBigInt64LE(BigInt(dataAddress + to.offset), this.#dataStart() + offset)
    }
    if (this.#cleanUp !== undefined)
      memory.writeBigInt64LE(BigInt(this.#entryAddress(this.#cleanUp)), 16)
    this.#drafts.forEach((draft, index) => {
      this.#writeEntry(draft, index, args[index] ?? [])
    })
  }

  #allocate(bytes: number): Buffer {
    const length = (bytes + 4095) & ~4095
    this.#address = syscall('mmap', 0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0)
    this.#memory = memoryAt(this.#address, length)
    return this.#memory
  }

  #toWord(argument: ListArgument): number | bigint | Block | Entry {
    if (typeof argument === 'string') return this.bytes(Buffer.from(`${argument}\0`))
    if (argument instanceof Uint8Array) return this.bytes(argument)
    return argument ?? 0
  }

  #writeEntry(
    draft: Draft,
    index: number,
    args: readonly (number | bigint | Block | Entry)[],
  ): void {
    const memory = this.#view()
    const at = HEADER_BYTES + index * ENTRY_BYTES
    memory.writeBigInt64LE(BigInt(syscallNumber(draft.name)), at)
    args.forEach((argument, position) => {
      const cell = at + 8 + position * 8
      if (typeof argument !== 'object')
        memory.writeBigInt64LE(BigInt.asIntN(64, BigInt(argument)), cell)
      else if ('offset' in argument)
        memory.writeBigInt64LE(BigInt(this.#address + this.#dataStart() + argument.offset), cell)
      else this.#storeResult(argument.index, this.#address + cell)
    })
    if (draft.result !== undefined)
      this.#storeResult(index, this.#address + this.#dataStart() + draft.result.offset)
    memory.writeBigInt64LE(BigInt(draft.flags), at + 64)
    // The last word is where a fork's parent goes on; every other entry keeps its own result there.
    if (draft.parentContinues !== undefined) {
      memory.writeBigInt64LE(BigInt(this.#entryAddress(draft.parentContinues)), at + 72)
    } else if (memory.readBigInt64LE(at + RESULT_OFFSET) === 0n) {
      this.#storeResult(index, this.#address + at + 72)
    }
  }

  #storeResult(index: number, address: number): void {
    this.#view().writeBigInt64LE(
      BigInt(address),
      HEADER_BYTES + index * ENTRY_BYTES + RESULT_OFFSET,
    )
  }

  #entryAddress(index: number): number {
    return this.#address + HEADER_BYTES + index * ENTRY_BYTES
  }

  #check(): void {
    const memory = this.#view()
    const failed = Number(memory.readBigInt64LE(0))
    if (failed === 0) return
    const draft = this.#drafts[(failed - this.#address - HEADER_BYTES) / ENTRY_BYTES]
    const errno = -Number(memory.readBigInt64LE(8))
    throw new SyscallError(draft?.name ?? 'clone3', errno, draft?.target)
  }
}
