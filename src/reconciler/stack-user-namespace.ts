import {
  openStackUserNamespace,
  RANGE_LENGTH,
  type StackUserNamespace,
} from '../engine/user-namespace.ts'
import type { Context } from './context.ts'

/** Far above what useradd and subuid hand out (man 5 subuid, login.defs), below 2^31. The range before it is the builder's. */
export const FIRST_RANGE = 0x4000_0000

/** The user namespace of a stack, made when first needed. */
export function userNamespaceOf(context: Context, stack: string): StackUserNamespace {
  const known = context.userNamespaces.get(stack)
  if (known !== undefined) return known
  const start = context.stacks.get(stack)?.idRangeStart ?? FIRST_RANGE
  const made = openStackUserNamespace(start, context.directories.layers)
  context.userNamespaces.set(stack, made)
  return made
}

/** The lowest range that no stack has. */
export function freeIdRange(context: Pick<Context, 'stacks'>): number {
  const taken = new Set(context.stacks.values().map((stack) => stack.idRangeStart))
  let start = FIRST_RANGE
  while (taken.has(start)) start += RANGE_LENGTH
  return start
}
