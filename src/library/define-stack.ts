/** Stacks as typed values. Types only: importing this costs nothing. */
import type { input } from 'zod/mini'
import type { stackFileSchema } from '../spec/schema.ts'

/** Wherever the specification has keys of its own, there may be keys that begin with `x-`. Arrays may be read-only. */
type Open<T> = T extends readonly (infer Item)[]
  ? readonly Open<Item>[]
  : T extends object
    ? string extends keyof T
      ? { readonly [Key in keyof T]: Open<T[Key]> }
      : { readonly [Key in keyof T]: Open<T[Key]> } & {
          readonly [key: `x-${string}`]: unknown
        }
    : T

/**
 * What a stack file may hold, in its short and its long forms: the type of the schema that YAML files are held against.
 * Text is interpolated (`${NAME}`) as in YAML; a dollar sign that is meant is written `$$`.
 */
export type StackDefinition = Open<input<typeof stackFileSchema>>

/** A service within a `StackDefinition`. */
export type ServiceDefinition = NonNullable<StackDefinition['services']>[string]

/** Gives its argument back: for the types, and to say what the value is. The default export of a stack.ts. */
export function defineStack(stack: StackDefinition): StackDefinition {
  return stack
}
