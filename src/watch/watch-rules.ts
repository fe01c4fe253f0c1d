/** The rules of a stack's `develop.watch`, service by service, as far as they can be followed. Pure. */
import { TsstackError } from '../errors.ts'
import type { Service, Stack, WatchTrigger } from '../spec/stack.ts'

export interface WatchRule extends WatchTrigger {
  readonly service: string
  /** Its place in the service's `develop.watch`, from 0. */
  readonly index: number
  /** The directory whose .dockerignore counts, of a service that is built. */
  readonly context?: string
  /** Relative to the context. */
  readonly dockerfile: string
}

export interface WatchRules {
  readonly rules: readonly WatchRule[]
  readonly warnings: readonly string[]
}

/** How a rule is called: `web develop.watch[0]`. */
export function ruleName({ service, index }: WatchRule): string {
  return `${service} develop.watch[${String(index)}]`
}

/** Whether the rule puts files into containers. */
export function isSync({ action }: Pick<WatchRule, 'action'>): boolean {
  return action.startsWith('sync')
}

/**
 * @param services - absent or empty: all
 * @throws {INVALID_ARGUMENT} for `rebuild` of a service that is not built
 */
export function watchRules(stack: Stack, services: readonly string[] = []): WatchRules {
  const rules: WatchRule[] = []
  const warnings: string[] = []
  for (const [name, service] of Object.entries(stack.services)) {
    if (services.length > 0 && !services.includes(name)) continue
    for (const [index, trigger] of (service.develop?.watch ?? []).entries()) {
      const rule = toRule({ name, service }, trigger, index)
      const problem = problemOf(rule, service)
      if (problem === undefined) rules.push(rule)
      else warnings.push(`${ruleName(rule)} is not followed: ${problem}`)
    }
  }
  return { rules, warnings }
}

function toRule(
  { name, service }: { readonly name: string; readonly service: Service },
  trigger: WatchTrigger,
  index: number,
): WatchRule {
  const { context, dockerfile } = service.build ?? {}
  return {
    ...trigger,
    service: name,
    index,
    ...(typeof context === 'string' && context.startsWith('/') ? { context } : {}),
    dockerfile: typeof dockerfile === 'string' ? dockerfile : 'Dockerfile',
  }
}

function problemOf(rule: WatchRule, service: Service): string | undefined {
  if (rule.action === 'rebuild' && service.build === undefined)
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot watch service "${rule.service}": action rebuild needs a "build" section`,
      { hint: 'Add "build", or choose sync or restart' },
    )
  const mounted = (service.volumes ?? []).find(
    ({ type, source = '' }) => type === 'bind' && isWithin(rule.path, source),
  )
  if (mounted === undefined || !isSync(rule)) return undefined
  return `"${rule.path}" is mounted at "${mounted.target}" anyway`
}

/** Whether a path is a directory or below it; both absolute. */
export function isWithin(path: string, directory: string): boolean {
  const prefix = directory.endsWith('/') ? directory : `${directory}/`
  return path === directory || path.startsWith(prefix)
}
