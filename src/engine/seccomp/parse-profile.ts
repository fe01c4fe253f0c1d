/** Custom profiles: JSON as Docker (`security_opt: seccomp=…`) and the OCI runtime specification write it. */
import { z } from 'zod'
import { TsstackError } from '../../errors.ts'
import type {
  SeccompAction,
  SeccompCondition,
  SeccompOperator,
  SeccompProfile,
  SeccompRule,
  SeccompScope,
} from './profile.ts'

const MAX_BYTES = 1 << 20
const EPERM = 1
const MAX_ERRNO = 4095

const name = z.string().max(128)
const scope = z
  .object({
    arches: z.array(name).max(64).nullish(),
    caps: z.array(name).max(64).nullish(),
    minKernel: z
      .string()
      .regex(/^\d{1,4}\.\d{1,4}$/, 'a version like "4.8" is needed')
      .nullish(),
  })
  .nullish()
/** As far as a JSON number goes; above 2^53 in steps. */
const unsigned = z
  .number()
  .min(0)
  .max(2 ** 64)
  .refine((value) => Number.isInteger(value), 'a whole number is needed')
const argument = z.object({
  index: z.int().min(0).max(5),
  value: unsigned,
  valueTwo: unsigned.nullish(),
  op: z.string().max(64),
})
const errno = z.int().min(0).max(MAX_ERRNO).nullish()
const syscall = z.object({
  name: name.nullish(),
  names: z.array(name).max(2000).nullish(),
  action: z.string().max(64),
  errnoRet: errno,
  args: z.array(argument).max(32).nullish(),
  includes: scope,
  excludes: scope,
})
const profile = z.object({
  defaultAction: z.string().max(64),
  defaultErrnoRet: errno,
  architectures: z.array(name).max(64).nullish(),
  archMap: z
    .array(z.object({ architecture: name, subArchitectures: z.array(name).max(64).nullish() }))
    .max(64)
    .nullish(),
  syscalls: z.array(syscall).max(5000).nullish(),
})

const OPERATORS: Readonly<Record<string, SeccompOperator>> = {
  SCMP_CMP_NE: 'ne',
  SCMP_CMP_LT: 'lt',
  SCMP_CMP_LE: 'le',
  SCMP_CMP_EQ: 'eq',
  SCMP_CMP_GE: 'ge',
  SCMP_CMP_GT: 'gt',
  SCMP_CMP_MASKED_EQ: 'masked-eq',
}

function fail(state: string): never {
  throw new TsstackError('INVALID_ARGUMENT', `Cannot read the seccomp profile: ${state}`)
}

function toAction(text: string, errnoValue: number | null | undefined): SeccompAction {
  const value = errnoValue ?? EPERM
  switch (text) {
    case 'SCMP_ACT_ALLOW':
      return { kind: 'allow' }
    case 'SCMP_ACT_LOG':
      return { kind: 'log' }
    case 'SCMP_ACT_TRAP':
      return { kind: 'trap' }
    case 'SCMP_ACT_KILL':
    case 'SCMP_ACT_KILL_THREAD':
      return { kind: 'kill-thread' }
    case 'SCMP_ACT_KILL_PROCESS':
      return { kind: 'kill-process' }
    case 'SCMP_ACT_ERRNO':
      return { kind: 'errno', value }
    case 'SCMP_ACT_TRACE':
      return { kind: 'trace', value }
    default:
      // SCMP_ACT_NOTIFY among them: it needs a listener.
      return fail(`the action "${text}" is not supported`)
  }
}

function toCondition({ index, op, value, valueTwo }: z.infer<typeof argument>): SeccompCondition {
  const operator = OPERATORS[op] ?? fail(`there is no operator "${op}"`)
  if (operator !== 'masked-eq') return { index, operator, value: toUnsigned(value) }
  return { index, operator, value: toUnsigned(value), masked: toUnsigned(valueTwo ?? 0) }
}

function toUnsigned(value: number): bigint {
  // JSON numbers above 2^53 lose their last bits; all ones is the one that people write.
  return value >= 2 ** 64 ? 2n ** 64n - 1n : BigInt(value)
}

/** Docker and runc take several conditions on one argument for alternatives (opencontainers/runc#2735). */
function toAlternatives(
  conditions: readonly SeccompCondition[],
): readonly (readonly SeccompCondition[])[] {
  const repeated = new Set(conditions.map(({ index }) => index)).size < conditions.length
  return repeated ? conditions.map((condition) => [condition]) : [conditions]
}

function toScope(input: z.infer<typeof scope>): SeccompScope {
  const [major, minor] = (input?.minKernel ?? '').split('.').map(Number)
  return {
    arches: input?.arches ?? [],
    caps: (input?.caps ?? []).map((capability) => capability.toUpperCase()),
    ...(major === undefined || minor === undefined ? {} : { minKernel: [major, minor] }),
  }
}

function toRules(input: z.infer<typeof syscall>): SeccompRule[] {
  const { includes, excludes } = input
  if (input.name && input.names?.length) fail('a rule has both "name" and "names"')
  const names = input.name ? [input.name] : (input.names ?? [])
  const action = toAction(input.action, input.errnoRet)
  return toAlternatives((input.args ?? []).map(toCondition)).map((conditions) => ({
    names,
    action,
    conditions,
    includes: toScope(includes),
    excludes: toScope(excludes),
  }))
}

function allows32Bit(input: z.infer<typeof profile>): boolean {
  if (input.architectures?.length && input.archMap?.length) {
    return fail('it has both "architectures" and "archMap"')
  }
  const mapped = input.archMap?.find(({ architecture }) => architecture === 'SCMP_ARCH_X86_64')
  return [...(input.architectures ?? []), ...(mapped?.subArchitectures ?? [])].includes(
    'SCMP_ARCH_X86',
  )
}

/**
 * Reads a profile.
 * @param text at most 1 MiB of JSON
 * @throws {INVALID_ARGUMENT} naming the place; also for the action SCMP_ACT_NOTIFY, which needs a listener
 */
export function parseSeccompProfile(text: string): SeccompProfile {
  if (text.length > MAX_BYTES) fail('it is larger than 1 MiB')
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new TsstackError('INVALID_ARGUMENT', 'Cannot read the seccomp profile: it is not JSON', {
      cause,
    })
  }
  const result = profile.safeParse(json)
  if (!result.success) {
    const issue = result.error.issues[0]
    return fail(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`)
  }
  return {
    defaultAction: toAction(result.data.defaultAction, result.data.defaultErrnoRet),
    allow32Bit: allows32Bit(result.data),
    rules: (result.data.syscalls ?? []).flatMap(toRules),
  }
}
