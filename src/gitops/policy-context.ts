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
  /** Names of the other stacks of this host. */
  readonly others: readonly string[]
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

/** What a check of a service is told. */
export interface ServiceContext extends PolicyContext {
  /** The name of its stack. */
  readonly stack: string
}

export type ServiceCheck = (service: Service, context: ServiceContext) => readonly Breach[]

/**
 * Whose a name is that begins with a stack's: `shop_db_data` is of `shop_db`, where there is such a stack, and of `shop`
 * otherwise. undefined: it begins with the name of none.
 * @param separator - one character that stands between a stack's name and the rest
 */
export function ownerOf(
  name: string,
  separator: RegExp,
  { stack, others }: { readonly stack: string; readonly others: readonly string[] },
): string | undefined {
  return [stack, ...others]
    .filter((each) => name.startsWith(each) && separator.test(name.charAt(each.length)))
    .toSorted((a, b) => b.length - a.length)[0]
}

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
