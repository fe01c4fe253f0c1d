/** The JSON Schema of a stack file, from the zod schema and the table of descriptions. */
import { toJSONSchema } from 'zod/mini'
import { ATTRIBUTE_DESCRIPTIONS } from '../src/spec/attribute-descriptions.ts'
import { UNIQUE_LISTS } from '../src/spec/schema-parts.ts'
import { stackFileSchema } from '../src/spec/schema.ts'

type JsonSchema = Record<string, unknown>

/** JSON Schema 2020-12 of what a stack file may be. */
export function stackFileJsonSchema(): JsonSchema {
  const schema = toJSONSchema(stackFileSchema, {
    target: 'draft-2020-12',
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      const { type } = zodSchema._zod.def
      // Every object with keys of the specification's own also takes keys that begin with x-.
      if (type === 'object') jsonSchema.patternProperties = { '^x-': {} }
      if (UNIQUE_LISTS.has(zodSchema)) jsonSchema.uniqueItems = true
      if (type === 'number' && jsonSchema.type === 'integer') withoutSafeBounds(jsonSchema)
    },
  })
  for (const [path, description] of Object.entries(ATTRIBUTE_DESCRIPTIONS)) {
    describe(schema, path.split('.'), description)
  }
  const { $schema, ...rest } = schema
  return {
    $schema,
    $id: 'stack.schema.json',
    title: 'tsstack stack file',
    description: 'The Compose Specification, and what tsstack adds to it under x-tsstack.',
    ...rest,
  }
}

/** The bounds of exact integers are those of the program, not of the specification. */
function withoutSafeBounds(schema: JsonSchema): void {
  if (schema['minimum'] === Number.MIN_SAFE_INTEGER) delete schema['minimum']
  if (schema['maximum'] === Number.MAX_SAFE_INTEGER) delete schema['maximum']
}

function alternatives(schema: JsonSchema): JsonSchema[] {
  const { anyOf } = schema
  return Array.isArray(anyOf) ? (anyOf as JsonSchema[]).flatMap(alternatives) : [schema]
}

/** Puts a description where a path leads to. `*` is any key of a map, or any item of a list. */
function describe(schema: JsonSchema, path: readonly string[], description: string): void {
  let found: JsonSchema[] = [schema]
  for (const segment of path)
    found = found.flatMap(alternatives).flatMap((at) => below(at, segment))
  if (found.length === 0)
    throw new Error(`Cannot describe ${path.join('.')}: it is not in the schema`)
  for (const at of found) at['description'] = description
}

function below(schema: JsonSchema, segment: string): JsonSchema[] {
  const next =
    segment === '*'
      ? [schema['items'], schema['additionalProperties']]
      : [(schema['properties'] as JsonSchema | undefined)?.[segment]]
  return next.filter((one): one is JsonSchema => typeof one === 'object' && one !== null)
}
