/** A system call filter in the form of an OCI bundle (runtime specification, config-linux.md: "Seccomp"). */
import type { SeccompAction, SeccompCondition, SeccompProfile } from '../seccomp/profile.ts'
import { rulesFor } from '../seccomp/seccomp.ts'

const ACTIONS = {
  allow: 'SCMP_ACT_ALLOW',
  log: 'SCMP_ACT_LOG',
  trap: 'SCMP_ACT_TRAP',
  'kill-thread': 'SCMP_ACT_KILL_THREAD',
  'kill-process': 'SCMP_ACT_KILL_PROCESS',
  errno: 'SCMP_ACT_ERRNO',
  trace: 'SCMP_ACT_TRACE',
} as const satisfies Record<SeccompAction['kind'], string>

const OPERATORS = {
  ne: 'SCMP_CMP_NE',
  lt: 'SCMP_CMP_LT',
  le: 'SCMP_CMP_LE',
  eq: 'SCMP_CMP_EQ',
  ge: 'SCMP_CMP_GE',
  gt: 'SCMP_CMP_GT',
  'masked-eq': 'SCMP_CMP_MASKED_EQ',
} as const satisfies Record<SeccompCondition['operator'], string>

const ARCHITECTURES = {
  x64: { native: 'SCMP_ARCH_X86_64', compat: ['SCMP_ARCH_X86'] },
  arm64: { native: 'SCMP_ARCH_AARCH64', compat: [] },
} as const

/** `linux.seccomp` for a container with these capabilities, on this machine. */
export function ociSeccomp(profile: SeccompProfile, capabilities: readonly number[]): object {
  const { native, compat } = ARCHITECTURES[process.arch === 'arm64' ? 'arm64' : 'x64']
  return {
    ...actionOf('defaultAction', 'defaultErrnoRet', profile.defaultAction),
    architectures: [native, ...(profile.allow32Bit ? compat : [])],
    syscalls: rulesFor(profile, capabilities).flatMap((rule) =>
      alternatives(rule.conditions).map((conditions) => ({
        names: rule.names,
        ...actionOf('action', 'errnoRet', rule.action),
        ...(conditions.length === 0 ? {} : { args: conditions.map(argumentOf) }),
      })),
    ),
  }
}

function actionOf(key: string, errnoKey: string, action: SeccompAction): object {
  return { [key]: ACTIONS[action.kind], ...('value' in action ? { [errnoKey]: action.value } : {}) }
}

function argumentOf({ index, operator, value, masked }: SeccompCondition): object {
  return {
    index,
    value: Number(value),
    ...(masked === undefined ? {} : { valueTwo: Number(masked) }),
    op: OPERATORS[operator],
  }
}

/**
 * libseccomp takes one condition for each argument. "At most N, and none of these" becomes a rule for each number that
 * is left.
 */
function alternatives(conditions: readonly SeccompCondition[]): (readonly SeccompCondition[])[] {
  const most = conditions.find(({ operator }) => operator === 'le')
  const excluded = conditions.filter(
    ({ operator, index }) => operator === 'ne' && index === most?.index,
  )
  if (most === undefined || excluded.length === 0) return [conditions]
  const others = conditions.filter(
    (condition) => condition !== most && !excluded.includes(condition),
  )
  const isExcluded = (value: bigint): boolean => excluded.some((one) => one.value === value)
  return Array.from({ length: Number(most.value) + 1 }, (_, number) => BigInt(number))
    .filter((value) => !isExcluded(value))
    .map((value) => [...others, { index: most.index, operator: 'eq', value }])
}
