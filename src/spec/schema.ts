/**
 * What a user may write in a stack file, in its short and long syntaxes: the Compose Specification's schema
 * (compose-spec.json) and tsstack's `x-tsstack`. stack.schema.json is generated from it. Any object with keys of the
 * specification's own also takes `x-*`: `checkSchema()` passes over what strict objects say of those.
 */
import * as z from 'zod/mini'
import {
  external,
  flagOrText,
  integer,
  listOrMap,
  nothing,
  numberOrText,
  optionMap,
  resourceName,
  text,
  textList,
  textOrList,
} from './schema-parts.ts'
import { service } from './schema-service.ts'

const include = z.union([
  text,
  z.strictObject({
    env_file: z.optional(textOrList),
    path: z.optional(textOrList),
    project_directory: z.optional(text),
  }),
])

const addressPool = z.strictObject({
  aux_addresses: z.optional(z.record(text, text)),
  gateway: z.optional(text),
  ip_range: z.optional(text),
  subnet: z.optional(text),
})

const network = z.strictObject({
  attachable: z.optional(flagOrText),
  driver: z.optional(text),
  driver_opts: z.optional(optionMap),
  enable_ipv4: z.optional(flagOrText),
  enable_ipv6: z.optional(flagOrText),
  external: z.optional(external),
  internal: z.optional(flagOrText),
  ipam: z.optional(
    z.strictObject({
      config: z.optional(z.array(addressPool)),
      driver: z.optional(text),
      options: z.optional(z.record(text, text)),
    }),
  ),
  labels: z.optional(listOrMap),
  name: z.optional(text),
})

const volume = z.strictObject({
  driver: z.optional(text),
  driver_opts: z.optional(optionMap),
  external: z.optional(external),
  labels: z.optional(listOrMap),
  name: z.optional(text),
})

const fileFields = {
  environment: z.optional(text),
  external: z.optional(external),
  file: z.optional(text),
  labels: z.optional(listOrMap),
  name: z.optional(text),
  template_driver: z.optional(text),
}
const secret = z.strictObject({
  ...fileFields,
  driver: z.optional(text),
  driver_opts: z.optional(optionMap),
})
const config = z.strictObject({ ...fileFields, content: z.optional(text) })

const model = z.union([
  z.strictObject({
    context_size: z.optional(z.union([integer, numberOrText])),
    model: text,
    name: z.optional(text),
    runtime_flags: z.optional(textList),
  }),
  nothing,
])

/** The whole stack file. */
export const stackFileSchema = z.strictObject({
  configs: z.optional(z.record(resourceName, config)),
  include: z.optional(z.array(include)),
  models: z.optional(z.record(resourceName, model)),
  name: z.optional(text),
  networks: z.optional(z.record(resourceName, z.union([network, nothing]))),
  secrets: z.optional(z.record(resourceName, secret)),
  services: z.optional(z.record(resourceName, service)),
  version: z.optional(text),
  volumes: z.optional(z.record(resourceName, z.union([volume, nothing]))),
  'x-tsstack': z.optional(
    z.strictObject({ reconcile: z.optional(z.enum(['repair', 'observe', 'off'])) }),
  ),
})
