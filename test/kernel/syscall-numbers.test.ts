import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'

/** The rows of the table, read from its text: the function itself knows one architecture only. */
const table = [
  ...readFileSync(new URL('../../src/kernel/syscall-numbers.ts', import.meta.url), 'utf8').matchAll(
    /(\w+): \[(\d+), (\d+)\]/g,
  ),
].map(([, name = '', x64, arm64]) => ({ name, x64: Number(x64), arm64: Number(arm64) }))

/** Calls that are newer than the header are not in it. `#define __NR_name 42`, also as `__NR3264_name` where 32-bit machines have another call. */
function readHeader(file: string): Map<string, number> {
  const lines = readFileSync(file, 'utf8').matchAll(/^#define __NR(?:3264)?_(\w+)\s+(\d+)$/gm)
  return new Map([...lines].map(([, name = '', number]) => [name, Number(number)]))
}

const X64_HEADER = '/usr/include/x86_64-linux-gnu/asm/unistd_64.h'
const GENERIC_HEADER = '/usr/include/asm-generic/unistd.h'
/** Names of the kernel's 64-bit generic table that differ from the ones that programs use. */
const GENERIC_NAMES: Readonly<Record<string, string>> = { newfstatat: 'fstatat' }

describe('syscallNumber()', () => {
  test('the table has no number twice', () => {
    expect(table.length).toBeGreaterThan(80)
    for (const column of ['x64', 'arm64'] as const) {
      expect(new Set(table.map((row) => row[column])).size).toBe(table.length)
    }
  })

  test.skipIf(!existsSync(X64_HEADER))(`x86-64 is as in ${X64_HEADER}`, () => {
    const header = readHeader(X64_HEADER)
    const known = table.filter(({ x64 }) => x64 <= Math.max(...header.values()))
    expect(known.map(({ name }) => [name, header.get(name)])).toEqual(
      known.map(({ name, x64 }) => [name, x64]),
    )
  })

  test.skipIf(!existsSync(GENERIC_HEADER))(`arm64 is as in ${GENERIC_HEADER}`, () => {
    const header = readHeader(GENERIC_HEADER)
    const known = table.filter(({ arm64 }) => arm64 <= Math.max(...header.values()))
    const found = known.map(({ name }) => [name, header.get(GENERIC_NAMES[name] ?? name)])
    expect(found).toEqual(known.map(({ name, arm64 }) => [name, arm64]))
  })
})
