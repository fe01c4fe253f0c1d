/** Shapes that several attributes of the stack file share, as zod schemas of what a user may write. */
import * as z from 'zod/mini'

export const text = z.string()
const flag = z.boolean()
export const integer = z.int()
const number = z.number()
export const nothing = z.null()

/** What interpolation may have left as text. */
export const flagOrText = z.union([flag, text])
export const integerOrText = z.union([integer, text])
export const numberOrText = z.union([number, text])
const scalar = z.union([text, number, flag, nothing])

export const textList = z.array(text)
/** Items that may not repeat: compose-spec.json `uniqueItems`. */
export const uniqueTextList = z.array(text).check(z.refine(hasNoRepetition, { error: repeated }))
export const uniqueNameList = z
  .array(z.union([text, number]))
  .check(z.refine(hasNoRepetition, { error: repeated }))

/** Marks the schemas above for the JSON Schema, which has a word for what they check. */
export const UNIQUE_LISTS: ReadonlySet<unknown> = new Set([uniqueTextList, uniqueNameList])

function hasNoRepetition(items: readonly unknown[]): boolean {
  return new Set(items).size === items.length
}

function repeated(issue: { readonly input?: unknown }): string {
  const items = Array.isArray(issue.input) ? (issue.input as unknown[]) : []
  const twice = items.find((item, index) => items.indexOf(item) !== index)
  return `"${String(twice)}" is there twice`
}

export const textOrList = z.union([text, textList])
export const listOrMap = z.union([z.record(text, scalar), textList])
export const optionMap = z.record(text, z.union([text, number]))
export const command = z.union([text, textList, nothing])

const extraHost = z.union([text, textList])
export const extraHosts = z.union([z.record(text, extraHost), textList])

const ulimit = z.union([
  integerOrText,
  z.strictObject({ soft: integerOrText, hard: integerOrText }),
])
export const ulimits = z.record(text.check(z.regex(/^[a-z]+$/)), ulimit)

export const fileReferences = z.array(
  z.union([
    text,
    z.strictObject({
      source: z.optional(text),
      target: z.optional(text),
      uid: z.optional(text),
      gid: z.optional(text),
      mode: z.optional(numberOrText),
    }),
  ]),
)

const hookFields = {
  user: z.optional(text),
  privileged: z.optional(flagOrText),
  working_dir: z.optional(text),
  environment: z.optional(listOrMap),
}
export const hook = z.strictObject({ command, ...hookFields })
export const preStartHook = z.strictObject({
  command: z.optional(command),
  image: z.optional(text),
  per_replica: z.optional(flagOrText),
  ...hookFields,
})

const deviceRequestFields = {
  count: z.optional(integerOrText),
  device_ids: z.optional(uniqueTextList),
  driver: z.optional(text),
  options: z.optional(listOrMap),
}
export const deviceRequests = z.array(
  z.strictObject({ capabilities: uniqueTextList, ...deviceRequestFields }),
)
export const gpus = z.union([
  z.literal('all'),
  z.array(z.strictObject({ capabilities: z.optional(uniqueTextList), ...deviceRequestFields })),
])

export const genericResources = z.array(
  z.strictObject({
    discrete_resource_spec: z.optional(
      z.strictObject({ kind: z.optional(text), value: z.optional(numberOrText) }),
    ),
  }),
)

/** `external: true`, and the deprecated `external: {name}`. */
export const external = z.union([flag, text, z.strictObject({ name: z.optional(text) })])

/** A name of a service, a network, a volume: what may be a key. */
export const resourceName = text.check(z.regex(/^[a-zA-Z0-9._-]+$/))
