/** `restart`, `deploy.restart_policy` and `x-tsstack.restart_on` as the policy of a container. */
import type { RestartPolicy } from '../engine/container-config.ts'
import { parseDurationMs } from '../spec/duration.ts'
import type { Service } from '../spec/stack.ts'

/** The words of either attribute; `any` is that of `deploy`, which also takes those of `restart` (docker/compose: create.go). */
const CONDITIONS: Readonly<Record<string, RestartPolicy['condition']>> = {
  none: 'no',
  no: 'no',
  'on-failure': 'on-failure',
  'unless-stopped': 'unless-stopped',
  any: 'always',
  always: 'always',
}

/** `deploy.restart_policy` wins over `restart` (Compose: deploy). Other words than these are refused by the loader. */
export function restartPolicyOf(service: Service): RestartPolicy {
  return {
    ...(policyOfDeploy(service) ?? policyOfRestart(service)),
    ...(service['x-tsstack']?.restart_on === 'unhealthy' ? { onUnhealthy: true } : {}),
  }
}

function policyOfDeploy({ deploy }: Service): RestartPolicy | undefined {
  const policy = deploy?.restart_policy
  if (policy === undefined) return undefined
  return {
    condition: CONDITIONS[policy.condition ?? 'any'] ?? 'no',
    ...maxRetriesOf(policy.max_attempts),
    ...(policy.delay === undefined ? {} : { delayMs: parseDurationMs(policy.delay) }),
    ...(policy.window === undefined ? {} : { windowMs: parseDurationMs(policy.window) }),
  }
}

function policyOfRestart({ restart = 'no' }: Service): RestartPolicy {
  const [condition = 'no', retries] = restart.split(':')
  return { condition: CONDITIONS[condition] ?? 'no', ...maxRetriesOf(Number(retries ?? 0)) }
}

/** None is no limit, as with Docker. */
function maxRetriesOf(retries = 0): Pick<RestartPolicy, 'maxRetries'> {
  return retries > 0 ? { maxRetries: retries } : {}
}
