/** Devices of the host that a container is given: looked up on the host, made again as nodes in the container's /dev. */
import { lstatSync, readdirSync, statSync, type Stats } from 'node:fs'
import path from 'node:path'
import { TsstackError } from '../errors.ts'
import type { DeviceRule } from './cgroup/resource-limits.ts'
import type { DeviceMapping } from './container-config.ts'

/** A node to be made below /dev. */
export interface DeviceNode {
  /** Relative to /dev: `snd/timer`. */
  readonly path: string
  readonly type: 'c' | 'b'
  readonly major: number
  readonly minor: number
  /** Permission bits, and owners as the host has them. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Of `rwm`: read, write, make. */
  readonly access: string
}

const DEV = '/dev'
/** Of the whole /dev: what the container has of its own, and what belongs to the host's sessions (moby: HostDevices). */
const HOSTS_OWN = new Set(['pts', 'shm', 'fd', 'mqueue', 'console', 'hugepages', 'ptmx', 'tty'])
/** All devices of the host, as `privileged` gives them. */
export const ALL_HOST_DEVICES: DeviceMapping = { source: DEV, target: DEV, access: 'rwm' }

/**
 * The nodes that mappings stand for; a directory stands for all devices in it.
 * @throws {NOT_FOUND} when a source is missing, {INVALID_ARGUMENT} when it is no device or its target not below /dev
 */
export function findDeviceNodes(mappings: readonly DeviceMapping[]): DeviceNode[] {
  return mappings.flatMap((mapping) => {
    const stat = statSync(mapping.source, { throwIfNoEntry: false })
    if (stat === undefined) {
      throw new TsstackError(
        'NOT_FOUND',
        `Cannot pass device "${mapping.source}": the host has none of that name`,
        { hint: 'Load the driver, or remove the device from "devices:"' },
      )
    }
    const nodes = stat.isDirectory() ? nodesBelow(mapping) : [nodeOf(mapping, stat)]
    if (nodes.every((node) => node !== undefined)) return nodes
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot pass device "${mapping.source}": it is not a device`,
      { hint: 'Files and directories are mounted with "volumes:"' },
    )
  })
}

/** Rules of the devices controller that admit them. */
export function deviceRulesOf(nodes: readonly DeviceNode[]): DeviceRule[] {
  return nodes.map(({ type, major, minor, access }) => ({
    allow: true,
    type,
    major,
    minor,
    access,
  }))
}

function nodesBelow(mapping: DeviceMapping): DeviceNode[] {
  return readdirSync(mapping.source, { withFileTypes: true })
    .filter(({ name }) => mapping.source !== DEV || !HOSTS_OWN.has(name))
    .flatMap((entry): DeviceNode[] => {
      const inner = {
        ...mapping,
        source: path.join(mapping.source, entry.name),
        target: path.join(mapping.target, entry.name),
      }
      if (entry.isDirectory()) return nodesBelow(inner)
      if (!entry.isCharacterDevice() && !entry.isBlockDevice()) return []
      const node = nodeOf(inner, lstatSync(inner.source))
      return node === undefined ? [] : [node]
    })
}

/** @returns undefined when it is no device */
function nodeOf({ target, access }: DeviceMapping, stat: Stats): DeviceNode | undefined {
  if (!stat.isCharacterDevice() && !stat.isBlockDevice()) return undefined
  const relative = path.posix.relative(DEV, target)
  if (relative === '' || relative.startsWith('..')) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot make device "${target}": devices are made below /dev only`,
    )
  }
  return {
    path: relative,
    type: stat.isCharacterDevice() ? 'c' : 'b',
    // man 3 makedev: 12 bits of the major number around 20 of the minor one.
    major: (stat.rdev >>> 8) & 0xfff,
    minor: (stat.rdev & 0xff) | ((stat.rdev >>> 12) & 0xfff00),
    mode: stat.mode & 0o777,
    uid: stat.uid,
    gid: stat.gid,
    access,
  }
}
