/**
 * What a stack file from git may ask for. Whoever may write to the repository is only half trusted: containers that are
 * confined, with files of the repository, networks and volumes of their own, are theirs to have; what reaches into the
 * host or into other stacks needs a permission of the source's user.
 */
import type { Finding } from '../spec/finding.ts'
import type { Stack } from '../spec/stack.ts'
import { checkAttributes } from './policy-attributes.ts'
import { buildBreaches } from './policy-build.ts'
import { findingOf, type PolicyContext } from './policy-context.ts'
import { definitionFindings } from './policy-definitions.ts'
import { SERVICE_CHECKS } from './policy-service.ts'

const CHECKS = [checkAttributes, ...SERVICE_CHECKS]

/**
 * Everything that the stack asks for and may not have, with the option of `tsstack gitops add` that would allow it.
 * Empty: it may be applied.
 */
export function policyFindings(stack: Stack, context: PolicyContext): Finding[] {
  const services = Object.entries(stack.services).flatMap(([name, service]) =>
    [
      ...CHECKS.flatMap((check) => check(service, { ...context, stack: stack.name })),
      ...buildBreaches(service, context, stack.name),
    ].map((breach) => findingOf(['services', name], breach)),
  )
  return [...services, ...definitionFindings(stack, context)]
}
