/** The readable difference between two desired states: what a person who compares two revisions wants to see. */
import type { Stack } from '../spec/stack.ts'
import { canonicalJson, compareText, ownValue } from './config-hash.ts'
import type { DesiredState } from './desired-state.ts'
import { fieldChanges, SENSITIVE } from './field-changes.ts'
import type { FieldChange } from './plan.ts'
import { imageReference } from './service-fields.ts'

const SECTIONS = ['services', 'networks', 'volumes', 'configs', 'secrets'] as const
type Section = (typeof SECTIONS)[number]

const KINDS = {
  services: 'service',
  networks: 'network',
  volumes: 'volume',
  configs: 'config',
  secrets: 'secret',
} as const satisfies Record<Section, string>

/** One attribute of one resource. */
export interface ModelChange extends FieldChange {
  readonly kind: (typeof KINDS)[Section] | 'stack'
  /** Key in the stack; of the stack itself its name. */
  readonly name: string
  /** The whole resource came or went; absent: it was there before and after. */
  readonly resource?: 'added' | 'removed'
}

/**
 * Every attribute that differs, in the order of the stack's sections, then by name, then by attribute. Values are text
 * for display, and sensitive ones are hidden (see fieldChanges). An image that is the same by name and another by
 * content is `image.digest`; changed content of a config or secret is `content`. A resource that came or went is one
 * change for each of its attributes.
 */
export function modelChanges(before: DesiredState | undefined, after: DesiredState): ModelChange[] {
  const changes = SECTIONS.flatMap((section) =>
    namesOf(section, before?.stack, after.stack).flatMap((name) =>
      resourceChanges(section, name, { before, after }),
    ),
  )
  return [...changes, ...stackChanges(before?.stack, after.stack)]
}

function namesOf(section: Section, before: Stack | undefined, after: Stack): string[] {
  const names = [...Object.keys(before?.[section] ?? {}), ...Object.keys(after[section])]
  return [...new Set(names)].sort(compareText)
}

function resourceChanges(
  section: Section,
  name: string,
  states: { readonly before: DesiredState | undefined; readonly after: DesiredState },
): ModelChange[] {
  const old = fieldsOf(section, name, states.before)
  const now = fieldsOf(section, name, states.after)
  const resource = old === undefined ? 'added' : now === undefined ? 'removed' : undefined
  return fieldChanges(old ?? {}, now ?? {}).map((change) => ({
    kind: KINDS[section],
    name,
    ...(section === 'secrets' && change.field === 'content' ? hidden(change) : change),
    ...(resource === undefined ? {} : { resource }),
  }))
}

/** A short secret could be found from the digest of its content by trial. That it differs is seen nevertheless. */
function hidden({ field, before, after }: FieldChange): FieldChange {
  return {
    field,
    before: before === undefined ? undefined : SENSITIVE,
    after: after === undefined ? undefined : SENSITIVE,
  }
}

/** Attributes as canonical JSON; undefined when the stack has no such resource. */
function fieldsOf(
  section: Section,
  name: string,
  state: DesiredState | undefined,
): Record<string, string> | undefined {
  const definition = state && ownValue<object>(state.stack[section], name)
  if (state === undefined || definition === undefined) return undefined
  const values: Record<string, unknown> = { ...definition }
  if (section === 'services') Object.assign(values, imageDigestsOf(name, state))
  if (section === 'configs') values['content'] = ownValue(state.contentDigests.configs, name)
  if (section === 'secrets') values['content'] = ownValue(state.contentDigests.secrets, name)
  return canonicalFields(values)
}

/** Of its own image, and of those that it mounts, by reference. */
function imageDigestsOf(
  name: string,
  { stack, imageDigests, mountedImageDigests = {} }: DesiredState,
): Record<string, unknown> {
  const mounts = ownValue(stack.services, name)?.volumes ?? []
  const mounted = mounts.flatMap(({ type, source }) => {
    const reference = imageReference(stack, source)
    const digest = ownValue(mountedImageDigests, reference)
    return type === 'image' && digest !== undefined ? [[reference, digest] as const] : []
  })
  return {
    'image.digest': ownValue(imageDigests, name),
    ...(mounted.length === 0 ? {} : { 'mounted images': Object.fromEntries(mounted) }),
  }
}

function canonicalFields(values: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values)
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([key, value]) => [key, canonicalJson(value)]),
  )
}

/** Extensions at the top of the file; what only anchors use is there too, and is a change of the file nevertheless. */
function stackChanges(before: Stack | undefined, after: Stack): ModelChange[] {
  const extensions = (stack: Stack | undefined): Record<string, string> =>
    canonicalFields(
      Object.fromEntries(Object.entries(stack ?? {}).filter(([key]) => key.startsWith('x-'))),
    )
  return fieldChanges(extensions(before), extensions(after)).map((change) => ({
    kind: 'stack',
    name: after.name,
    ...change,
  }))
}

const SHOWN_LENGTH = 120

/**
 * Lines for a terminal: a heading for each resource (`~ service web`), below it its attributes with old and new value.
 * The text is as it came from the file: what prints it makes control characters harmless.
 */
export function formatModelChanges(changes: readonly ModelChange[]): string[] {
  const groups = Map.groupBy(changes, ({ kind, name }) => `${kind} ${name}`)
  return [...groups].flatMap(([title, group]) => {
    const resource = group[0]?.resource
    const mark = resource === 'added' ? '+' : resource === 'removed' ? '-' : '~'
    return [`${mark} ${title}`, ...group.map(changeLine)]
  })
}

function changeLine({ field, before, after, resource }: ModelChange): string {
  const shown = (value: string | undefined): string => {
    const text = value ?? '(none)'
    return text.length <= SHOWN_LENGTH ? text : `${text.slice(0, SHOWN_LENGTH)}…`
  }
  if (resource === 'added') return `    ${field}: ${shown(after)}`
  if (resource === 'removed') return `    ${field}: ${shown(before)}`
  if (before === after) return `    ${field}: ${shown(after)}, changed`
  return `    ${field}: ${shown(before)} → ${shown(after)}`
}
