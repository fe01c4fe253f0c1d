/** What is no mistake but seldom meant: resources that nothing uses, host ports that two want, ports without quotes, pipes. */
import type { Diagnostics } from './diagnostics.ts'
import type { Model } from './model.ts'
import { recordsIn, textIn } from './model.ts'
import type { MapNode, Node, Path, ScalarNode } from './node.ts'
import { child, locate } from './node.ts'
import { withoutUnused } from './selection.ts'
import { shellOperatorIn } from './shell-words.ts'

export interface SuspicionContext {
  /** Active services. */
  readonly active: Model
  /** All services, those of inactive profiles too. */
  readonly all: Model
  /** As written: for places. */
  readonly root: MapNode
  readonly diagnostics: Diagnostics
}

/** Warns of what is suspicious. */
export function warnOfSuspicions(context: SuspicionContext): void {
  warnOfUnused(context)
  warnOfSharedPorts(context)
  warnOfBarePorts(context)
  warnOfShellCommands(context)
}

function warnAt(path: Path, message: string, { root, diagnostics }: SuspicionContext): void {
  diagnostics.warn(locate(root, path), message)
}

const KINDS = ['networks', 'volumes', 'configs', 'secrets'] as const

function warnOfUnused(context: SuspicionContext): void {
  const used = withoutUnused(context.all)
  for (const kind of KINDS) {
    for (const key of Object.keys(context.all[kind])) {
      if (Object.hasOwn(used[kind], key) || key === 'default') continue
      const what = kind.slice(0, -1)
      warnAt([kind, key], `${what} "${key}" is not used by any service`, context)
    }
  }
}

/** Of one port, on different addresses. */
const MAX_OWNERS = 100

interface Owner {
  readonly service: string
  readonly host: string
}

function warnOfSharedPorts(context: SuspicionContext): void {
  const owners = new Map<string, Owner[]>()
  for (const [service, definition] of Object.entries(context.active.services)) {
    for (const [index, port] of recordsIn(definition, 'ports').entries()) {
      const published = textIn(port, 'published')
      if (!/^\d+$/.test(published) || Number(published) === 0) continue
      const key = `${published}/${textIn(port, 'protocol') || 'tcp'}`
      const host = textIn(port, 'host_ip')
      const known = owners.get(key) ?? []
      const other = known.find((owner) => overlap(owner.host, host))
      if (known.length < MAX_OWNERS) known.push({ service, host })
      owners.set(key, known)
      const path = ['services', service, 'ports', index]
      if (other !== undefined) {
        const who = other.service === service ? 'twice' : `by service "${other.service}" too`
        const message = `services.${service}.ports: host port ${key} is published ${who}`
        warnAt(path, message, context)
      }
    }
  }
}

const ANY_ADDRESS = new Set(['', '0.0.0.0', '::'])

function overlap(a: string, b: string): boolean {
  return a === b || ANY_ADDRESS.has(a) || ANY_ADDRESS.has(b)
}

/** YAML 1.1 reads `22:22` as a number of base 60. */
const SEXAGESIMAL = /^\d+(?::[0-5]?\d)+$/

function warnOfBarePorts({ root, diagnostics }: SuspicionContext): void {
  const services = child(root, 'services')
  if (services?.kind !== 'map') return
  for (const [service, { value }] of services.entries) {
    const ports = child(value, 'ports')
    for (const port of ports?.kind === 'list' ? ports.items : []) {
      if (!isBare(port)) continue
      const text = String(port.value)
      diagnostics.warn(
        port,
        `services.${service}.ports: write "${text}" with quotes: YAML 1.1 reads ${text} as the number ${String(base60(text))}`,
      )
    }
  }
}

function isBare(node: Node): node is ScalarNode {
  if (node.kind !== 'scalar' || typeof node.value !== 'string') return false
  return SEXAGESIMAL.test(node.value) && node.source.text.startsWith(node.value, node.offset)
}

function base60(text: string): number {
  return text.split(':').reduce((sum, part) => sum * 60 + Number(part), 0)
}

const HOOKS = ['pre_start', 'post_start', 'pre_stop']

/** No shell reads a command: what follows a pipe or the like is left out, as Compose does. */
function warnOfShellCommands({ root, diagnostics }: SuspicionContext): void {
  const services = child(root, 'services')
  if (services?.kind !== 'map') return
  for (const [service, { value }] of services.entries) {
    const hooks = HOOKS.flatMap((kind) => {
      const list = child(value, kind)
      return list?.kind === 'list' ? list.items.map((hook) => child(hook, 'command')) : []
    })
    for (const node of [child(value, 'command'), child(value, 'entrypoint'), ...hooks]) {
      const text = node?.kind === 'scalar' && typeof node.value === 'string' ? node.value : ''
      const operator = shellOperatorIn(text)
      if (node === undefined || operator === undefined) continue
      const message = `services.${service}: no shell reads this command: what begins with "${operator}" is left out; write ["sh", "-c", "…"]`
      diagnostics.warn(node, message)
    }
  }
}
