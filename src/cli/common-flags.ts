/** Flags that several commands have, with the same meaning. */
import type { ByHand } from '../api/status-types.ts'
import type { Flag, Flags } from './args.ts'

export const GRACE_FLAG: Flag = {
  name: 'timeout',
  short: 't',
  kind: 'seconds',
  value: 'SECONDS',
  help: "Grace before containers are killed (default: each service's own)",
}

/** A flag of Docker's that asks for what is so anyway. @param reason - what is so, as a clause */
export function needlessFlag(name: string, reason: string, more: Partial<Flag> = {}): Flag {
  return { name, kind: 'bool', ...more, help: reason, hidden: true, effect: 'none' }
}

/** A flag of Docker's that is an error, but for `=false`. @param reason - why, and what to do instead; a clause */
export function refusedFlag(name: string, reason: string, more: Partial<Flag> = {}): Flag {
  return { name, kind: 'bool', ...more, help: reason, hidden: true, effect: 'refused' }
}

/** For sessions in a container: a terminal and open input are what they get, unless it is said otherwise. */
export const TERMINAL_FLAGS: readonly Flag[] = [
  { name: 'no-tty', short: 'T', kind: 'bool', help: 'No terminal', aliases: ['no-TTY'] },
  {
    name: 'interactive',
    short: 'i',
    kind: 'bool',
    help: 'Input is open, unless this is false',
    hidden: true,
  },
  {
    name: 'tty',
    short: 't',
    kind: 'bool',
    help: 'A terminal is given, unless this is false',
    hidden: true,
  },
]

export const WAIT_FLAG: Flag = {
  name: 'wait',
  kind: 'bool',
  help: 'Return when the services are running or healthy',
}

export const WAIT_TIMEOUT_FLAG: Flag = {
  name: 'wait-timeout',
  kind: 'seconds',
  value: 'SECONDS',
  help: 'Wait at most this long',
}

export const QUIET_TRANSFER_FLAGS: readonly Flag[] = [
  { name: 'quiet-pull', kind: 'bool', help: 'No progress of downloads' },
  { name: 'quiet-build', kind: 'bool', help: 'No progress of builds' },
]

/** Of what a person does by hand: until when, and why. */
export const BY_HAND_FLAGS: readonly Flag[] = [
  {
    name: 'for',
    kind: 'seconds',
    value: 'DURATION',
    help: 'Undo it by itself after this time: 2h, 30m, seconds',
  },
  { name: 'reason', kind: 'text', value: 'TEXT', help: 'Why, for those who look at "status"' },
]

export function readByHand(flags: Flags): ByHand {
  const forSeconds = flags.number('for')
  const reason = flags.text('reason')
  return {
    ...(forSeconds === undefined ? {} : { forSeconds }),
    ...(reason === undefined ? {} : { reason }),
  }
}
