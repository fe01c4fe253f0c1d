import os from 'node:os'
import { TsstackError } from '../errors.ts'

const SIGRTMIN = 34 // as glibc counts; 32 and 33 are its own
const SIGRTMAX = 64

/**
 * A signal by name or number, with or without SIG: `SIGTERM`, `term`, `15`, `SIGRTMIN+3`.
 * @throws {INVALID_ARGUMENT}
 */
export function parseSignal(text: string): number {
  const name = text.toUpperCase().replace(/^SIG/, '')
  const numbers: Readonly<Record<string, number>> = os.constants.signals
  const realtime = /^RTM(IN|AX)(?:([+-])(\d+))?$/.exec(name)
  const offset = Number(realtime?.[3] ?? 0) * (realtime?.[2] === '-' ? -1 : 1)
  const signal = /^\d+$/.test(name)
    ? Number(name)
    : realtime === null
      ? numbers[`SIG${name}`]
      : (realtime[1] === 'IN' ? SIGRTMIN : SIGRTMAX) + offset
  if (signal !== undefined && signal >= 1 && signal <= SIGRTMAX) return signal
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot use signal "${text}": there is no such signal`,
    {
      hint: 'Use a name such as SIGTERM or a number from 1 to 64',
    },
  )
}

/** `SIGTERM`; the number, for one that has no name. */
export function signalName(signal: number): string {
  const found = Object.entries(os.constants.signals).find(([, number]) => number === signal)
  return found?.[0] ?? `signal ${String(signal)}`
}
