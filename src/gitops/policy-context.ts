/** What the checks of policy.ts have in common: what they look at, what they find, and whether a path may be used. */
import type { Permissions } from '../api/gitops-types.ts'
import type { Finding } from '../spec/finding.ts'
import type { Service } from '../spec/stack.ts'
import { isWithin } from './confined-files.ts'

/** What the policy holds a stack against. */
export interface PolicyContext {
  /** The checkout, absolute and real. */
  readonly root: string
  /** The directory of the stack file, in it. */
  readonly directory: string
  readonly allow: Permissions
  /** Where a path leads: a container may have put a link into a directory that is allowed. */
  readonly realpath: (path: string) => string
}

/** What one check finds, with the path below the service. */
export interface Breach {
  readonly at: readonly (string | number)[]
  readonly what: string
  /** The option that would allow it. */
  readonly option: string
}

export type ServiceCheck = (service: Service, context: PolicyContext) => readonly Breach[]

/** Whether a path may be used: of the checkout, or allowed. */
export function isPathAllowed(path: string, { root, allow, realpath }: PolicyContext): boolean {
  const real = realpath(path)
  return [root, ...allow.hostPaths.map(realpath)].some((allowed) => isWithin(allowed, real))
}

/** @param at - what the breach's path is below */
export function findingOf(at: readonly (string | number)[], breach: Breach): Finding {
  const path = [...at, ...breach.at]
  return {
    path,
    message: `asks for ${breach.what}, which this source may not have`,
    expected: 'nothing that reaches into the host or into other stacks',
    suggestion: `remove it, or give the source ${breach.option}`,
  }
}
