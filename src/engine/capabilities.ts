/** Capabilities (man 7 capabilities): names, numbers, and which of them a container has. */
import { readFileSync } from 'node:fs'
import { TsstackError } from '../errors.ts'

/** In the order of their numbers, from 0 (include/uapi/linux/capability.h). */
export const CAPABILITIES = [
  ...['CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID'],
  ...['SETPCAP', 'LINUX_IMMUTABLE', 'NET_BIND_SERVICE', 'NET_BROADCAST', 'NET_ADMIN', 'NET_RAW'],
  ...['IPC_LOCK', 'IPC_OWNER', 'SYS_MODULE', 'SYS_RAWIO', 'SYS_CHROOT', 'SYS_PTRACE', 'SYS_PACCT'],
  ...['SYS_ADMIN', 'SYS_BOOT', 'SYS_NICE', 'SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'MKNOD'],
  ...['LEASE', 'AUDIT_WRITE', 'AUDIT_CONTROL', 'SETFCAP', 'MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG'],
  ...['WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ', 'PERFMON', 'BPF', 'CHECKPOINT_RESTORE'],
].map((name) => `CAP_${name}`)

const MAX_NAME_LENGTH = 40
const NUMBERS = new Map(CAPABILITIES.map((name, number) => [name, number]))

/** What a container has unless it asks for something else: Docker's default set. */
const DEFAULT_CAPABILITIES = [
  ...['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP'],
  ...['NET_BIND_SERVICE', 'NET_RAW', 'SYS_CHROOT', 'MKNOD', 'AUDIT_WRITE', 'SETFCAP'],
].map((name) => numberOf(`CAP_${name}`))

/** The number of a capability by its full name; undefined when there is none. */
export function capabilityNumber(name: string): number | undefined {
  return NUMBERS.get(name)
}

/** The nearest name: with the same letters in another order, or with the longest beginning in common. */
function nearest(name: string): string | undefined {
  const letters = (text: string): string => Array.from(text.replaceAll('_', '')).sort().join('')
  const anagram = CAPABILITIES.find((known) => letters(known) === letters(name))
  if (anagram !== undefined) return anagram
  const inCommon = (known: string): number => {
    const at = Array.from(known).findIndex((letter, index) => letter !== name[index])
    return at === -1 ? known.length : at
  }
  const best = CAPABILITIES.toSorted((a, b) => inCommon(b) - inCommon(a))[0]
  const enough = Math.ceil(name.length / 2) + 'CAP_'.length / 2
  return best !== undefined && inCommon(best) >= enough ? best : undefined
}

function numberOf(text: string): number {
  const upper = text.slice(0, MAX_NAME_LENGTH).toUpperCase()
  const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`
  const number = NUMBERS.get(name)
  if (number !== undefined) return number
  const suggestion = nearest(name)
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot use capability "${text.slice(0, MAX_NAME_LENGTH)}": there is none of that name`,
    suggestion === undefined ? {} : { hint: `Did you mean "${suggestion.slice('CAP_'.length)}"?` },
  )
}

function isAll(name: string): boolean {
  return name.toUpperCase() === 'ALL'
}

/** What this process may give away: its permitted set, as a bit mask, cut to what this kernel knows. */
export function readOwnCapabilities(): bigint {
  const status = readFileSync('/proc/self/status', 'latin1')
  const permitted = BigInt(`0x${/^CapPrm:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`)
  const bounding = BigInt(`0x${/^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`)
  return permitted & bounding
}

let own: bigint | undefined

export interface CapabilityRequest {
  /** With or without `CAP_`, in any case; `ALL`. */
  readonly add: readonly string[]
  readonly drop: readonly string[]
  readonly privileged: boolean
  /** Bit mask of what can be given. Default: what this process has (the kernel's newest included). */
  readonly available?: bigint
}

/**
 * The capabilities of a container's root, in ascending order: the default set (all, when privileged), less those to
 * drop, plus those to add, so that `drop: [ALL]` with an `add` leaves just that (Compose Specification, cap_add;
 * moby oci/caps). What the host can't give is left out silently: see `missingCapabilities`.
 * @throws {INVALID_ARGUMENT} for a name that doesn't exist, with the one that was meant
 */
export function resolveCapabilities(request: CapabilityRequest): readonly number[] {
  const available = availableTo(request)
  return wantedCapabilities(request).filter((number) => ((available >> BigInt(number)) & 1n) === 1n)
}

/**
 * Names that `cap_add` asks for and this host can't give: worth a warning.
 * @throws {INVALID_ARGUMENT} for a name that doesn't exist
 */
export function missingCapabilities(request: CapabilityRequest): readonly string[] {
  const available = availableTo(request)
  return request.add
    .filter((name) => !isAll(name))
    .map(numberOf)
    .filter((number) => ((available >> BigInt(number)) & 1n) === 0n)
    .map((number) => CAPABILITIES[number] ?? '')
}

function availableTo(request: CapabilityRequest): bigint {
  if (request.available !== undefined) return request.available
  own ??= readOwnCapabilities()
  return own
}

function wantedCapabilities({ add, drop, privileged }: CapabilityRequest): number[] {
  const all = CAPABILITIES.map((_, number) => number)
  const [added, dropped] = [add, drop].map((names) =>
    names.filter((name) => !isAll(name)).map(numberOf),
  )
  if (privileged) return all
  // A drop of ALL leaves only what is added by name; an add of ALL leaves all but what is dropped by name.
  if (add.some(isAll))
    return drop.some(isAll) ? all : all.filter((number) => dropped?.includes(number) !== true)
  const base = drop.some(isAll)
    ? []
    : DEFAULT_CAPABILITIES.filter((number) => dropped?.includes(number) !== true)
  return [...new Set([...base, ...(added ?? [])])].sort((a, b) => a - b)
}
