/** Checks of a service's `x-tsstack` beyond its shape. */
import { asDuration, reject } from './canonical-fields.ts'
import type { At } from './canonical-fields.ts'
import { scheduleError } from './cron.ts'
import type { MapNode } from './node.ts'
import { child, scalarText } from './node.ts'

/** What the schema can't say of `x-tsstack`. */
export function checkExtension(node: MapNode, at: At): void {
  checkProbe(node, at)
  checkDrain(node, at)
  checkSchedule(node, at)
  checkImagePolicy(node, at)
}

const ORDERS = ['semver', 'numerical', 'alphabetical'] as const

/** One order, or `digest` alone; a group of no pattern can't be extracted. */
function checkImagePolicy(node: MapNode, at: At): void {
  const policy = child(child(node, 'x-tsstack'), 'image_policy')
  if (policy?.kind !== 'map') return
  const inner = { ...at, path: [...at.path, 'x-tsstack', 'image_policy'] }
  const orders = ORDERS.filter((key) => policy.entries.has(key))
  const extract = policy.entries.get('extract')
  if (orders.length > 1 || (orders.length === 0 && !policy.entries.has('digest')))
    reject(policy, inner, `the policy has ${orders.length === 0 ? 'no order' : 'several orders'}`, {
      expected: `one of ${ORDERS.join(', ')}, or digest alone`,
      suggestion: 'write semver: ^1.4',
    })
  else if (extract !== undefined && !policy.entries.has('pattern'))
    reject(extract, { ...inner, path: [...inner.path, 'extract'] }, 'extract without a pattern', {
      expected: 'pattern, whose groups it names',
      suggestion: 'write pattern: "^main-(?P<build>[0-9]+)$$" and extract: "$$build"',
    })
}

function checkDrain(node: MapNode, at: At): void {
  const drain = child(child(node, 'x-tsstack'), 'drain')
  if (drain) asDuration(drain, { ...at, path: [...at.path, 'x-tsstack', 'drain'] })
}

function checkSchedule(node: MapNode, at: At): void {
  const schedule = child(child(node, 'x-tsstack'), 'schedule')
  const cron = child(schedule, 'cron')
  if (cron?.kind !== 'scalar') return
  const zone = child(schedule, 'time_zone')
  const [expression, timeZone] = [cron, zone].map((item) =>
    item?.kind === 'scalar' ? scalarText(item) : undefined,
  )
  const isOpen = !at.session.interpolate && `${expression ?? ''}${timeZone ?? ''}`.includes('$')
  if (expression === undefined || isOpen) return
  const path = [...at.path, 'x-tsstack', 'schedule']
  const wrongCron = scheduleError({ cron: expression })
  if (wrongCron !== undefined)
    reject(cron, { ...at, path: [...path, 'cron'] }, `invalid cron expression: ${wrongCron}`, {
      expected: 'minute hour day month weekday, each a number, a range, a list, or *',
      suggestion: 'write "30 2 * * *" for half past two each night',
    })
  else if (zone !== undefined && timeZone !== undefined && !isTimeZone(expression, timeZone))
    reject(zone, { ...at, path: [...path, 'time_zone'] }, `unknown time zone: "${timeZone}"`, {
      expected: 'a name of the IANA database',
      suggestion: 'write such as Europe/Vienna, or UTC',
    })
}

function isTimeZone(cron: string, timeZone: string): boolean {
  return scheduleError({ cron, time_zone: timeZone }) === undefined
}

/** A probe has exactly one kind. */
function checkProbe(node: MapNode, at: At): void {
  const probe = child(child(node, 'x-tsstack'), 'probe')
  if (probe?.kind !== 'map' || probe.entries.size === 1) return
  const kinds = [...probe.entries.keys()].join(', ')
  const inner = { ...at, path: [...at.path, 'x-tsstack', 'probe'] }
  reject(
    probe,
    inner,
    kinds === '' ? 'the probe is empty' : `the probe has several kinds: ${kinds}`,
    { expected: 'exactly one of http, tcp, unix, file', suggestion: 'keep one of them' },
  )
}
