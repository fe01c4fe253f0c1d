/** Reading and writing the files of a control group. */
import { readFileSync, writeFileSync } from 'node:fs'

/** The symbolic errno of what node:fs threw. */
export function errnoOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'UNKNOWN'
}

/** Writes without creating: in a cgroup a missing file is a missing feature. @returns the errno name, undefined when written */
export function tryWrite(path: string, value: string): string | undefined {
  try {
    // r+ because O_CREAT gives EACCES here instead of ENOENT.
    writeFileSync(path, value, { flag: 'r+' })
    return undefined
  } catch (thrown) {
    return errnoOf(thrown)
  }
}

/** @returns undefined when there is no such file, or it can't be read now */
export function tryRead(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}

/** A file with one number; `max` and a missing file are undefined. */
export function readNumber(path: string): number | undefined {
  const text = tryRead(path)?.trim()
  return text === undefined || text === '' || text === 'max' ? undefined : Number(text)
}

/** Lines of `key value`, as in cpu.stat, memory.stat, memory.events. */
export function parseFlatKeyed(text: string): ReadonlyMap<string, number> {
  const values = new Map<string, number>()
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ')
    if (space > 0) values.set(line.slice(0, space), Number(line.slice(space + 1)))
  }
  return values
}

/** Process ids; 0 stands for a process of a foreign pid namespace and is left out, because kill(0) is ourselves. */
export function parseProcesses(text: string): number[] {
  return text
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 0)
}
