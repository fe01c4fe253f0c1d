/**
 * Compiles a seccomp profile to a filter for the kernel:
 *
 *   architecture? ─ native ─▶ number? ─ a binary tree over ranges of numbers with the same answer ─▶ return
 *        │                                      └─ arguments are looked at in the leaves
 *        ├─ 32-bit mode of x86: the same with its own numbers
 *        └─ any other: the process is killed
 *
 * About 9 comparisons for a call; and since Linux 5.11 the kernel itself remembers which calls are always allowed.
 */
import os from 'node:os'
import { TsstackError } from '../../errors.ts'
import { CAPABILITIES } from '../capabilities.ts'
import {
  actionValue,
  branch,
  DATA_ARCH,
  DATA_NUMBER,
  encode,
  give,
  load,
  rule,
  type Instruction,
} from './bpf.ts'
import type { SeccompAction, SeccompProfile, SeccompRule, SeccompScope } from './profile.ts'
import { syscallTable, type SeccompArch } from './syscall-table.ts'

/** An architecture that can be native. */
export type NativeArch = 'x64' | 'arm64'

/** AUDIT_ARCH_* of include/uapi/linux/audit.h. */
const AUDIT_ARCH = { x64: 0xc000_003e, x86: 0x4000_0003, arm64: 0xc000_00b7 } as const
const DOCKER_ARCH = { x64: 'amd64', arm64: 'arm64' } as const
/** Numbers of the x32 ABI have this bit; nobody uses it, and it has been a way around filters. */
const X32_BIT = 0x4000_0000
/** A tracer's way to skip a call, and harmless: the kernel has no such call. */
const NO_CALL = 0xffff_ffff
const ENOSYS: SeccompAction = { kind: 'errno', value: 38 }
/** BPF_MAXINSNS */
const MAX_INSTRUCTIONS = 4096

function hasKernel([major, minor]: readonly [number, number]): boolean {
  const [hostMajor = 0, hostMinor = 0] = os.release().split('.').map(Number.parseFloat)
  return hostMajor > major || (hostMajor === major && hostMinor >= minor)
}

function isIncluded(
  scope: SeccompScope | undefined,
  arch: string,
  caps: ReadonlySet<string>,
): boolean {
  if (scope === undefined) return true
  const { arches = [], caps: needed = [], minKernel } = scope
  if (arches.length > 0 && !arches.includes(arch)) return false
  if (!needed.every((capability) => caps.has(capability))) return false
  return minKernel === undefined || hasKernel(minKernel)
}

function isExcluded(
  scope: SeccompScope | undefined,
  arch: string,
  caps: ReadonlySet<string>,
): boolean {
  if (scope === undefined) return false
  if (scope.arches?.includes(arch) === true) return true
  if (scope.caps?.some((capability) => caps.has(capability)) === true) return true
  return scope.minKernel !== undefined && hasKernel(scope.minKernel)
}

/** number -> places in the list of rules, in its order. */
function rulesByNumber(
  rules: readonly SeccompRule[],
  arch: SeccompArch,
): ReadonlyMap<number, readonly number[]> {
  const table = syscallTable(arch)
  const byNumber = new Map<number, number[]>()
  rules.forEach(({ names }, index) => {
    for (const name of names) {
      const number = table.get(name)
      // Profiles are written for all machines: a name that is not of this one is no mistake.
      if (number === undefined) continue
      const places = byNumber.get(number)
      if (places === undefined) byNumber.set(number, [index])
      else places.push(index)
    }
  })
  return byNumber
}

/** The answer for one call: its rules with conditions one after the other, then the one without or the default. */
function answer(rules: readonly SeccompRule[], defaultAction: SeccompAction): Instruction[] {
  const otherwise = actionValue(
    rules.find((one) => one.conditions.length === 0)?.action ?? defaultAction,
  )
  const conditional = rules.filter(
    (one) => one.conditions.length > 0 && actionValue(one.action) !== otherwise,
  )
  return [
    ...conditional.flatMap((one) => rule(one.conditions, actionValue(one.action))),
    give(otherwise),
  ]
}

interface Range {
  readonly first: number
  readonly code: readonly Instruction[]
}

/** Neighbours with the same answer become one range. */
function toRanges(
  profile: SeccompProfile,
  rules: readonly SeccompRule[],
  arch: SeccompArch,
): Range[] {
  const byNumber = rulesByNumber(rules, arch)
  const answers = new Map<
    string,
    { readonly code: readonly Instruction[]; readonly text: string }
  >()
  const ranges: Range[] = []
  let previous = ''
  const last = lastNumber(arch)
  for (let number = 0; number <= last; number += 1) {
    const places = byNumber.get(number) ?? []
    const key = places.join()
    let known = answers.get(key)
    if (known === undefined) {
      const code = answer(
        places.map((place) => rules[place]).filter((one) => one !== undefined),
        profile.defaultAction,
      )
      known = { code, text: JSON.stringify(code) }
      answers.set(key, known)
    }
    if (known.text !== previous) ranges.push({ first: number, code: known.code })
    previous = known.text
  }
  return ranges
}

function lastNumber(arch: SeccompArch): number {
  return Math.max(...syscallTable(arch).values())
}

function toTree(ranges: readonly Range[]): Instruction[] {
  const middle = ranges[ranges.length >> 1]
  if (middle === undefined || ranges.length === 1) return [...(ranges[0]?.code ?? [])]
  const half = ranges.length >> 1
  return branch('ge', middle.first, toTree(ranges.slice(half)), toTree(ranges.slice(0, half)))
}

/** The part of the filter for one architecture; the call's number is not loaded yet. */
function forArch(
  profile: SeccompProfile,
  rules: readonly SeccompRule[],
  arch: SeccompArch,
): Instruction[] {
  const known = toTree(toRanges(profile, rules, arch))
  // A call that is younger than the tables: programs know what to do without it, but not what to make of EPERM.
  const permissive = profile.defaultAction.kind === 'allow' || profile.defaultAction.kind === 'log'
  const younger = give(actionValue(permissive ? profile.defaultAction : ENOSYS))
  const x32 = branch(
    'eq',
    NO_CALL,
    [give(actionValue(ENOSYS))],
    [give(actionValue({ kind: 'kill-process' }))],
  )
  const beyond = arch === 'x64' ? branch('ge', X32_BIT, x32, [younger]) : [younger]
  return [load(DATA_NUMBER), ...branch('ge', lastNumber(arch) + 1, beyond, known)]
}

const NATIVE: NativeArch = process.arch === 'arm64' ? 'arm64' : 'x64'

/** Those rules of the profile that are for a container with these capabilities, on this machine. */
export function rulesFor(
  profile: SeccompProfile,
  capabilities: readonly number[],
  native: NativeArch = NATIVE,
): readonly SeccompRule[] {
  const caps = new Set(capabilities.map((number) => CAPABILITIES[number] ?? ''))
  const arch = DOCKER_ARCH[native]
  return profile.rules.filter(
    (one) => isIncluded(one.includes, arch, caps) && !isExcluded(one.excludes, arch, caps),
  )
}

function compile(
  profile: SeccompProfile,
  capabilities: readonly number[],
  native: NativeArch,
): Uint8Array {
  const rules = rulesFor(profile, capabilities, native)
  const foreign = [give(actionValue({ kind: 'kill-process' }))]
  const compat =
    native === 'x64' && profile.allow32Bit
      ? branch('eq', AUDIT_ARCH.x86, forArch(profile, rules, 'x86'), foreign)
      : foreign
  const program = [
    load(DATA_ARCH),
    ...branch('eq', AUDIT_ARCH[native], forArch(profile, rules, native), compat),
  ]
  if (program.length > MAX_INSTRUCTIONS) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot compile the seccomp profile: it needs ${program.length} instructions, the kernel takes ${MAX_INSTRUCTIONS}`,
    )
  }
  return encode(program)
}

const cache = new WeakMap<SeccompProfile, Map<string, Uint8Array>>()

/**
 * The filter for a container: `struct sock_filter[]`, to be installed by seccomp(SECCOMP_SET_MODE_FILTER) with the
 * number of instructions `length / 8`, after no_new_privs or with CAP_SYS_ADMIN. Compiled once for each profile and set
 * of capabilities (about 2 ms); do not change the bytes.
 * @param capabilities numbers: the container's bounding set
 * @throws {INVALID_ARGUMENT} when the profile is too large for the kernel
 */
export function buildSeccompFilter(
  profile: SeccompProfile,
  capabilities: readonly number[],
  arch: NativeArch = NATIVE,
): Uint8Array {
  const filters = cache.get(profile) ?? new Map<string, Uint8Array>()
  cache.set(profile, filters)
  const key = [arch, ...[...capabilities].sort((a, b) => a - b)].join()
  const known = filters.get(key)
  if (known !== undefined) return known
  const filter = compile(profile, capabilities, arch)
  filters.set(key, filter)
  return filter
}
