/** `RUN --mount=…`: which options a type of mount has (Dockerfile reference, "RUN --mount"). */
import { suggest } from '../../spec/suggest.ts'
import type { MountOptions } from './instruction.ts'
import { dockerfileError, type Place } from './place.ts'

const TARGET = ['type', 'target', 'dst', 'destination']
const SOURCE = ['source', 'src']
const READ_ONLY = ['ro', 'readonly', 'rw', 'readwrite']
const OWNER = ['mode', 'uid', 'gid']

const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  bind: [...TARGET, ...SOURCE, ...READ_ONLY, 'from'],
  cache: [...TARGET, ...SOURCE, ...READ_ONLY, ...OWNER, 'id', 'sharing', 'from'],
  tmpfs: [...TARGET, 'size'],
  secret: [...TARGET, ...SOURCE, ...OWNER, 'id', 'required', 'env'],
  ssh: [...TARGET, ...SOURCE, ...OWNER, 'id', 'required'],
}

/** CSV, as the flag is for BuildKit: `type=cache,target=/x,"id=a,b"`. */
function fieldsOf(value: string): MountOptions {
  const fields = value.match(/"[^"]*"|[^,]+/g) ?? []
  const pairs = fields.map((field): [string, string] => {
    const [name = '', text = ''] = field.replaceAll('"', '').split(/=(.*)/s)
    return [name.trim().toLowerCase(), field.includes('=') ? text : 'true']
  })
  return Object.fromEntries(pairs)
}

/** @throws {INVALID_ARGUMENT} a type or an option that there is not */
export function readMount(value: string, place: Place): MountOptions {
  const options = fieldsOf(value)
  const type = options['type'] ?? 'bind'
  if (type.includes('$')) return options // it is known when the step runs
  const known = Object.hasOwn(OPTIONS, type) ? OPTIONS[type] : undefined
  if (known === undefined)
    throw dockerfileError(
      place,
      `"--mount=type=${type}" is none`,
      `Types are ${Object.keys(OPTIONS).join(', ')}`,
    )
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue
    const near = suggest(name, known)
    const hint = near === undefined ? `It has ${known.join(', ')}` : `Did you mean "${near}"?`
    throw dockerfileError(place, `"--mount=type=${type}" has no option "${name}"`, hint)
  }
  return options
}
