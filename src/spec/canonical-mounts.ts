/** Canonical form of what a service mounts and publishes: volumes, devices, configs, secrets, ports, hosts. */
import {
  asBytes,
  asFlag,
  asSetFlag,
  asText,
  asTextMap,
  pathOf,
  recordFrom,
  recordOf,
  reject,
  textsOf,
  under,
} from './canonical-fields.ts'
import type { At, Convert, Fields } from './canonical-fields.ts'
import { isIPAddress } from './ip-address.ts'
import { asHostList } from './merge.ts'
import type { MapNode, Node } from './node.ts'
import { child, scalarText } from './node.ts'
import { parsePort, parseRange } from './ports.ts'
import { cleanPath } from './posix-path.ts'
import { parseVolume } from './volume-syntax.ts'

type Plain = Record<string, unknown>

/** Keeps the last of those with one key, where the first was. */
function uniqueBy(items: readonly Plain[], keyOf: (item: Plain) => string): Plain[] {
  const unique = new Map<string, Plain>()
  for (const item of items) unique.set(keyOf(item), item)
  return [...unique.values()]
}

function convertItems(
  node: Node,
  at: At,
  convert: (item: Node, at: At) => readonly Plain[],
): Plain[] {
  if (node.kind !== 'list') return []
  return node.items.flatMap((item, index) => convert(item, under(at, index)))
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/** Permission bits as octal text: YAML's octal numbers and text are octal, a decimal number is decimal. */
const asMode: Convert = (node, at) => {
  if (node.kind !== 'scalar' || node.value === null) return undefined
  if (typeof node.value === 'number') return `0${node.value.toString(8)}`
  const digits = /^(?:0o)?([0-7]{1,6})$/.exec(scalarText(node))?.[1]
  if (digits === undefined)
    return reject(node, at, `invalid mode "${scalarText(node)}"`, {
      expected: 'octal permission bits such as 0440',
      suggestion: 'write four octal digits in quotes: "0440"',
    })
  return `0${parseInt(digits, 8).toString(8)}`
}

const asModeNumber: Convert = (node, at) => {
  const mode = asMode(node, at)
  return typeof mode === 'string' ? parseInt(mode, 8) : undefined
}

const FILE_FIELDS: Fields = {
  source: asText,
  target: asText,
  uid: asText,
  gid: asText,
  mode: asMode,
}

/** Configs and secrets of a service or a build; unique by target. */
export function asFileReferences(directory: string, fillTarget: boolean): Convert {
  return (node, at) => {
    const files = convertItems(node, at, (item, itemAt) => {
      if (item.kind === 'scalar') return [{ source: scalarText(item) }]
      return item.kind === 'map' ? [recordFrom(item, FILE_FIELDS, itemAt)] : []
    })
    const targetOf = (file: Plain): string =>
      text(file['target']) || `${directory}/${text(file['source'])}`
    const unique = uniqueBy(files, targetOf)
    return fillTarget ? unique.map((file) => ({ ...file, target: targetOf(file) })) : unique
  }
}

const VOLUME_FIELDS: Fields = {
  type: asText,
  source: asText,
  target: (node) => cleanPath(node.kind === 'scalar' ? scalarText(node) : ''),
  read_only: asFlag,
  consistency: asText,
  bind: recordOf({
    propagation: asText,
    create_host_path: (node, at) => (asSetFlag(node, at) === false ? false : undefined),
    recursive: asText,
    selinux: asText,
  }),
  volume: recordOf({ nocopy: asFlag, subpath: asText, labels: asTextMap }),
  tmpfs: recordOf({ size: asBytes, mode: asModeNumber }),
  image: recordOf({ subpath: asText }),
}

/** Mounts of a service; unique by target. */
export const asVolumes: Convert = (node, at) =>
  uniqueBy(
    convertItems(node, at, (item, itemAt) => {
      const volume = item.kind === 'map' ? longVolume(item, itemAt) : shortVolume(item, itemAt)
      return volume === undefined ? [] : [volume]
    }),
    (volume) => text(volume['target']),
  )

function shortVolume(node: Node, at: At): Plain | undefined {
  if (node.kind !== 'scalar') return undefined
  const volume = parseVolume(scalarText(node))
  if (typeof volume === 'string') {
    return reject(node, at, volume, {
      expected: '[SOURCE:]TARGET[:OPTIONS], such as data:/var/lib/data or ./src:/app:ro',
      suggestion: 'use the long syntax: type, source and target',
    })
  }
  const { source } = volume
  const resolved =
    volume.type === 'bind' && source !== undefined ? { source: pathOf(node, source, at) } : {}
  return { ...volume, ...resolved, target: cleanPath(volume.target) }
}

function longVolume(node: MapNode, at: At): Plain | undefined {
  const volume = recordFrom(node, VOLUME_FIELDS, at)
  const source = child(node, 'source')
  if (typeof volume['target'] !== 'string' || volume['target'] === '' || volume['target'] === '.') {
    return reject(node, at, 'service volume is missing a mount target', {
      expected: 'target: a path in the container',
      suggestion: 'add target: /path',
    })
  }
  if (volume['type'] !== 'bind') return volume
  if (source === undefined || text(volume['source']) === '') {
    return reject(
      node,
      at,
      'invalid mount config for type "bind": field Source must not be empty',
      { expected: 'source: a path of the host', suggestion: 'add source: ./path' },
    )
  }
  return {
    ...volume,
    source: pathOf(source, text(volume['source']), at),
    bind: volume['bind'] ?? {},
  }
}

/** Devices; unique by target. */
export const asDevices: Convert = (node, at) =>
  uniqueBy(
    convertItems(node, at, (item, itemAt) => {
      if (item.kind === 'map') return [device(recordFrom(item, {}, itemAt))]
      const device_ =
        item.kind === 'scalar' ? shortDevice(scalarText(item), item, itemAt) : undefined
      return device_ === undefined ? [] : [device_]
    }),
    (entry) => text(entry['target']),
  )

function device(fields: Plain): Plain {
  return { target: fields['source'], permissions: 'rwm', ...fields }
}

/** `HOST[:CONTAINER[:PERMISSIONS]]`, or the name of a CDI device, `vendor/class=name`. */
function shortDevice(spec: string, node: Node, at: At): Plain | undefined {
  const parts = spec.split(':')
  const [source = '', second, third] = parts
  if (parts.length > 3 || parts.includes('')) {
    return reject(node, at, `confusing device mapping, please use long syntax: ${spec}`, {
      expected: 'HOST[:CONTAINER[:rwm]]',
      suggestion: 'use the long syntax: source, target and permissions',
    })
  }
  if (third !== undefined) return { source, target: second, permissions: third }
  if (second === undefined) return device({ source })
  return /^[rwm]{1,3}$/.test(second)
    ? { source, target: source, permissions: second }
    : device({ source, target: second })
}

const PORT_FIELDS: Fields = {
  app_protocol: asText,
  host_ip: asText,
  mode: asText,
  name: asText,
  protocol: asText,
  published: asText,
  target: (node, at) => {
    const value = node.kind === 'scalar' ? scalarText(node) : ''
    const range = parseRange(value)
    const isPort = range !== undefined && range.first === range.last && range.first > 0
    return isPort
      ? range.first
      : reject(node, at, `invalid target port "${value}"`, {
          expected: 'a port from 1 to 65535',
          suggestion: 'write the port that the container listens on',
        })
  },
}

/** Published ports, ranges taken apart; unique by address, both ports and protocol. */
export const asPorts: Convert = (node, at) =>
  uniqueBy(
    convertItems(node, at, (item, itemAt) =>
      item.kind === 'map' ? longPort(item, itemAt) : shortPort(item, itemAt),
    ),
    (port) =>
      [
        port['host_ip'] ?? '0.0.0.0',
        port['published'] ?? '',
        port['target'],
        port['protocol'],
      ].join(' '),
  )

const PORT_SYNTAX = {
  expected: '[[IP:]HOST:]CONTAINER[/PROTOCOL], such as 8080:80 or 127.0.0.1:53:53/udp',
  suggestion: 'write the port of the host, a colon, and the port of the container',
}

function shortPort(node: Node, at: At): readonly Plain[] {
  if (node.kind !== 'scalar') return []
  const spec = scalarText(node)
  if (!at.session.interpolate && spec.includes('$')) return [{ target: spec }]
  const ports = parsePort(spec)
  if (typeof ports !== 'string') return ports.map((port) => ({ ...port }))
  reject(
    node,
    at,
    ports.startsWith('No port') ? ports : `invalid port "${spec}": ${ports}`,
    PORT_SYNTAX,
  )
  return []
}

function longPort(node: MapNode, at: At): readonly Plain[] {
  const port = { mode: 'ingress', protocol: 'tcp', ...recordFrom(node, PORT_FIELDS, at) } as Plain
  const published = child(node, 'published')
  if (!('target' in port)) {
    if (child(node, 'target') === undefined) {
      reject(node, at, 'service port is missing a target port', {
        expected: 'target: a port of the container',
        suggestion: 'add target: 80',
      })
    }
    return []
  }
  if (
    published !== undefined &&
    text(port['published']) !== '' &&
    parseRange(text(port['published'])) === undefined
  ) {
    reject(
      published,
      under(at, 'published'),
      `invalid published port "${text(port['published'])}"`,
      {
        expected: 'a port, or a range',
        suggestion: 'write a number, or two with a hyphen between',
      },
    )
  }
  const hostIp = text(port['host_ip'])
  if (hostIp !== '' && !isIPAddress(hostIp)) {
    reject(child(node, 'host_ip') ?? node, under(at, 'host_ip'), `Invalid ip address: ${hostIp}`, {
      expected: 'an IP address',
      suggestion: 'write an address of this host, such as 127.0.0.1',
    })
  }
  return [port]
}

/** extra_hosts as a sorted list of `host=ip`. */
export const asHosts: Convert = (node, at) => {
  const list = asHostList(node)
  if (list.kind !== 'list') return undefined
  const hosts = list.items.flatMap((item, index) => {
    const spec = textsOf(item)[0] ?? ''
    const match = /^([^=:]*)[=:](.*)$/s.exec(spec)
    const [, host = '', addresses = ''] = match ?? []
    if (match === null || host === '' || addresses === '') {
      const message = match === null ? `bad host "${spec}"` : `bad host name '${host}' in "${spec}"`
      reject(item, under(at, index), message, {
        expected: 'HOST=ADDRESS',
        suggestion: 'write a name, an equals sign and an address: db=10.0.0.5',
      })
      return []
    }
    return addresses.split(',').map((address) => `${host}=${address.replace(/^\[(.*)\]$/, '$1')}`)
  })
  return [...new Set(hosts)].sort()
}
