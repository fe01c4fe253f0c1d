/** Options of `RUN --mount=…` as values. */
import { TsstackError } from '../errors.ts'
import type { MountOptions } from './dockerfile/instruction.ts'
import { absolutePath } from './workdir-step.ts'

function bad(option: string, wanted: string): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', `"${option}" is ${wanted}`)
}

/** The first of these names that is there. */
export function optionOf(options: MountOptions, ...names: readonly string[]): string | undefined {
  return names.map((name) => options[name]).find((value) => value !== undefined && value !== '')
}

/** @returns undefined without one */
export function targetIn(
  options: MountOptions,
  workingDir: string | undefined,
): string | undefined {
  const target = optionOf(options, 'target', 'dst', 'destination')
  return target === undefined ? undefined : absolutePath(target, workingDir)
}

/** @throws {INVALID_ARGUMENT} without one */
export function requiredTarget(options: MountOptions, workingDir: string | undefined): string {
  const target = targetIn(options, workingDir)
  if (target !== undefined) return target
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `"--mount=type=${options['type'] ?? 'bind'}" needs a target`,
  )
}

/** A switch, under whichever name. */
export function isTrue(options: MountOptions, ...names: readonly string[]): boolean {
  return names.some((name) => {
    const value = options[name]?.toLowerCase()
    if (value === undefined || ['false', '0'].includes(value)) return false
    if (['true', '1', ''].includes(value)) return true
    throw bad(`${name}=${value}`, 'neither true nor false')
  })
}

/** Octal digits. */
export function modeIn(options: MountOptions, otherwise: number): number {
  const { mode } = options
  if (mode === undefined) return otherwise
  if (/^[0-7]{1,5}$/.test(mode)) return Number.parseInt(mode, 8)
  throw bad(`mode=${mode}`, 'no mode in octal digits')
}

/** Of the container. */
export function ownerIn(options: MountOptions): { readonly uid: number; readonly gid: number } {
  const id = (name: 'uid' | 'gid'): number => {
    const text = options[name] ?? '0'
    if (/^\d{1,5}$/.test(text) && Number(text) < 65_536) return Number(text)
    throw bad(`${name}=${text}`, 'no id from 0 to 65535')
  }
  return { uid: id('uid'), gid: id('gid') }
}
