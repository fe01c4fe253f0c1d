/** Texts under `x-tsstack.replica`, which differ from one replica of a service to the next. */
import type { Finding } from './finding.ts'
import type { Plain } from './model.ts'
import { listIn, mapIn, recordsIn, textIn, textsIn } from './model.ts'
import type { Path } from './node.ts'
import { suggest } from './suggest.ts'

/** What may stand between the braces. */
export interface ReplicaFields {
  /** Of the replica, from 1. */
  readonly Replica: number
  readonly Service: string
  readonly Stack: string
}

const FIELDS = ['Replica', 'Service', 'Stack'] as const satisfies readonly (keyof ReplicaFields)[]
const FIELD = /\{\{\s*(.*?)\s*\}\}/g

/** `db-{{.Replica}}` -> `db-2`. What is no field stays as it is: checkReplica() tells of it. */
export function fillReplicaText(text: string, fields: ReplicaFields): string {
  return text.replace(FIELD, (whole, name: string) => {
    const field = FIELDS.find((known) => name === `.${known}`)
    return field === undefined ? whole : String(fields[field])
  })
}

/** What the schema can't say of `x-tsstack.replica`. */
export function checkReplica(name: string, service: Plain): readonly Finding[] {
  const extension = mapIn(service, 'x-tsstack')
  if (!('replica' in extension)) return []
  const path: Path = ['services', name, 'x-tsstack', 'replica']
  const replica = mapIn(extension, 'replica')
  return [
    ...hostnameFindings(path, replica),
    ...textFindings([...path, 'hostname'], textIn(replica, 'hostname')),
    ...Object.entries(mapIn(replica, 'environment')).flatMap(([variable, text]) =>
      textFindings([...path, 'environment', variable], typeof text === 'string' ? text : ''),
    ),
    ...volumeFindings(path, replica, service),
    ...('schedule' in extension ? [scheduled(path, name)] : []),
  ]
}

/** RFC 1123: letters, digits and hyphens, at most 63; dots between. */
const HOSTNAME = /^(?!.{254})[a-z\d]([a-z\d-]{0,61}[a-z\d])?(\.[a-z\d]([a-z\d-]{0,61}[a-z\d])?)*$/i

function hostnameFindings(path: Path, replica: Plain): readonly Finding[] {
  if (!('hostname' in replica)) return []
  const hostname = textIn(replica, 'hostname')
  const example = fillReplicaText(hostname, { Replica: 1, Service: 's', Stack: 's' })
  if (hostname.includes('$') || example.includes('{{') || HOSTNAME.test(example)) return []
  return [
    {
      path: [...path, 'hostname'],
      message: `${path.join('.')}.hostname: "${hostname}" is no host name`,
      expected: 'letters, digits and hyphens',
      suggestion: 'write such as "{{.Service}}-{{.Replica}}"',
    },
  ]
}

function textFindings(path: Path, text: string): readonly Finding[] {
  return [...text.matchAll(FIELD)].flatMap(([whole, field = '']): Finding[] => {
    if (FIELDS.some((known) => field === `.${known}`)) return []
    const near = suggest(field.replace(/^\./, ''), FIELDS)
    return [
      {
        path,
        message: `${path.join('.')}: ${whole} is not known`,
        expected: FIELDS.map((known) => `{{.${known}}}`).join(', '),
        suggestion: `did you mean {{.${near ?? 'Replica'}}}?`,
      },
    ]
  })
}

function volumeFindings(path: Path, replica: Plain, service: Plain): readonly Finding[] {
  const mounted = recordsIn(service, 'volumes')
    .filter(({ type }) => type === 'volume')
    .map((volume) => textIn(volume, 'source'))
    .filter((source) => source !== '')
  const names = textsIn(replica, 'volumes')
  return listIn(replica, 'volumes').flatMap((_, index): Finding[] => {
    const name = names[index] ?? ''
    if (mounted.includes(name)) return []
    return [
      {
        path: [...path, 'volumes', index],
        message: `${path.join('.')}.volumes: the service does not mount volume "${name}"`,
        expected: mounted.length === 0 ? 'a named volume' : `one of ${mounted.join(', ')}`,
        suggestion: `add it to the volumes of the service: ${name}:/path`,
      },
    ]
  })
}

function scheduled(path: Path, name: string): Finding {
  return {
    path,
    message: `services.${name}.x-tsstack: "replica" and "schedule" exclude each other`,
    expected: 'one of the two',
    suggestion: 'remove replica: each run of a schedule is a container of its own',
  }
}
