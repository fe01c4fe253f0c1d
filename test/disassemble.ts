/** Machine code as rows of bytes and assembly (src/kernel/call-routine, src/engine/init) held against a disassembler. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'

export type Rows = readonly (readonly [bytes: string, assembly: string, why?: string])[]

interface Machine {
  /** Programs that can read it; the first that is installed does. */
  readonly objdumps: readonly string[]
  readonly flags: readonly string[]
  /** arm64's objdump shows an instruction as a word, its bytes in memory are the other way round. */
  readonly isWord: boolean
}

export const MACHINES = {
  x64: {
    objdumps: ['x86_64-linux-gnu-objdump', ...(process.arch === 'x64' ? ['objdump'] : [])],
    flags: ['-m', 'i386:x86-64', '-M', 'intel', '--insn-width=16'],
    isWord: false,
  },
  arm64: {
    objdumps: ['aarch64-linux-gnu-objdump', ...(process.arch === 'arm64' ? ['objdump'] : [])],
    flags: ['-m', 'aarch64'],
    isWord: true,
  },
} as const satisfies Record<string, Machine>

export function isInstalled(program: string): boolean {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0
}

export function objdumpOf(machine: keyof typeof MACHINES): string | undefined {
  return MACHINES[machine].objdumps.find(isInstalled)
}

/** What the rows say and what a disassembler makes of their bytes, one instruction a line; addresses without `0x`. */
export function disassemble(
  machine: keyof typeof MACHINES,
  rows: Rows,
): { readonly said: string[]; readonly found: string[] } {
  const { flags, isWord } = MACHINES[machine]
  const directory = mkdtempSync(path.join(os.tmpdir(), 'tsstack-code-'))
  const file = path.join(directory, 'code')
  writeFileSync(file, Buffer.concat(rows.map(([bytes]) => Buffer.from(bytes, 'hex'))))
  const words = ['-D', '-z', '-b', 'binary', ...flags, file]
  const { stdout } = spawnSync(objdumpOf(machine) ?? '', words, { encoding: 'utf8' })
  rmSync(directory, { recursive: true })
  const found = stdout.split('\n').flatMap((line) => {
    const [, bytes = '', assembly] = /^\s*[0-9a-f]+:\t([0-9a-f ]+)\t(.*)$/.exec(line) ?? []
    return assembly === undefined ? [] : [`${bytes.replaceAll(' ', '')} ${plain(assembly)}`]
  })
  const said = rows.map(
    ([bytes, assembly]) =>
      `${isWord ? Buffer.from(bytes, 'hex').reverse().toString('hex') : bytes} ${plain(assembly)}`,
  )
  return { said, found }
}

function plain(assembly: string): string {
  const code = assembly
    .replace(/\s*(?:\/\/|#\s).*$/, '')
    .trim()
    .replaceAll(/\s+/g, ' ')
  // Targets of jumps: objdump writes 0x7a, the rows 7a.
  return /^(?:j\w+|b|b\.\w+|cbn?z|tbn?z)\s/.test(code) ? code.replace(/0x([0-9a-f]+)$/, '$1') : code
}
