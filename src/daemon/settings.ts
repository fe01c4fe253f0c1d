import { readFileSync } from 'node:fs'
import path from 'node:path'
import { parseBytes } from '../spec/bytes.ts'
import type { LogLevel } from '../log.ts'
import { TsstackError } from '../errors.ts'

/** What the environment, and the settings file behind it (settings-file.ts), say about the daemon. */
export interface Settings {
  /** `TSSTACK_STATE_DIR`. Default: `/var/lib/tsstack`. */
  readonly stateDir: string
  /** `TSSTACK_RUN_DIR`. Default: `/run/tsstack`. */
  readonly runDir: string
  /** `TSSTACK_HOST=unix:///path`. Default: `tsstack.sock` in the run directory. */
  readonly socket: string
  /** `TSSTACK_SOCKET_GROUP`: members of this group may use the socket, which is as good as being root. Default: nobody. */
  readonly socketGroup: number | undefined
  /** `TSSTACK_CGROUP_PARENT`: the control group below which all of ours are. Two daemons need two. Default: `tsstack`. */
  readonly cgroupParent: string
  /** `TSSTACK_LOG_LEVEL`: `debug`, `info`, `warn` or `error`. Default: `info`. */
  readonly logLevel: LogLevel
  /** `TSSTACK_LOG_FILE`: where its own lines go. Default: standard error. A client that starts a daemon sets it. */
  readonly logFile: string | undefined
  /** `TSSTACK_LOG_MAX_SIZE`: at which size a new log file is begun; three older ones are kept. Default: 10m. */
  readonly logMaxBytes: number
  /** `TSSTACK_METRICS_ADDRESS`: `PORT`, on loopback, or `HOST:PORT`: where `/metrics` is served beside the socket. Default: nowhere. */
  readonly metricsAddress: { readonly host: string; readonly port: number } | undefined
  /** `TSSTACK_STORAGE_DRIVER`: `overlay`, `btrfs` or `vfs`. Default: `overlay`. */
  readonly storageDriver: 'overlay' | 'btrfs' | 'vfs'
  /** `TSSTACK_WEBHOOK_LISTEN`: `HOST:PORT` to take webhooks of git servers on. Default: none. */
  readonly webhookListen: string | undefined
  /** `TSSTACK_RECONCILE_INTERVAL`: seconds between looks at every stack, beside those that events cause; 0: none. Default: 30. */
  readonly reconcileIntervalMs: number
}

/** @throws {INVALID_ARGUMENT} {NOT_FOUND} for an unknown group */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const value = (name: string, fallback: string): string => {
    const text = environment[name]
    return text === undefined || text === '' ? fallback : text
  }
  const runDir = value('TSSTACK_RUN_DIR', '/run/tsstack')
  const host = value('TSSTACK_HOST', `unix://${path.join(runDir, 'tsstack.sock')}`)
  if (!host.startsWith('unix:///'))
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot listen on TSSTACK_HOST="${host}": expected unix:///path`,
    )
  const storageDriver = value('TSSTACK_STORAGE_DRIVER', 'overlay')
  if (storageDriver !== 'overlay' && storageDriver !== 'btrfs' && storageDriver !== 'vfs') {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot use TSSTACK_STORAGE_DRIVER="${storageDriver}": expected overlay, btrfs or vfs`,
    )
  }
  const group = environment['TSSTACK_SOCKET_GROUP']
  return {
    stateDir: value('TSSTACK_STATE_DIR', '/var/lib/tsstack'),
    runDir,
    socket: host.slice('unix://'.length),
    socketGroup: group === undefined || group === '' ? undefined : groupId(group),
    cgroupParent: value('TSSTACK_CGROUP_PARENT', 'tsstack'),
    logLevel: logLevel(value('TSSTACK_LOG_LEVEL', 'info')),
    logFile: absolutePath(environment['TSSTACK_LOG_FILE']),
    metricsAddress: metricsAddress(value('TSSTACK_METRICS_ADDRESS', '')),
    logMaxBytes: parseBytes(value('TSSTACK_LOG_MAX_SIZE', '10m')),
    storageDriver,
    webhookListen: environment['TSSTACK_WEBHOOK_LISTEN'] || undefined,
    reconcileIntervalMs: intervalMs(value('TSSTACK_RECONCILE_INTERVAL', '30')),
  }
}

const MAX_INTERVAL_SECONDS = 86_400

function intervalMs(text: string): number {
  const seconds = /^\d{1,5}(\.\d{1,3})?$/.test(text) ? Number(text) : Infinity
  if (seconds <= MAX_INTERVAL_SECONDS) return seconds * 1000
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot use TSSTACK_RECONCILE_INTERVAL="${text}": expected seconds from 0 to ${String(MAX_INTERVAL_SECONDS)}`,
  )
}

function absolutePath(file: string | undefined): string | undefined {
  if (file === undefined || file === '') return undefined
  if (path.isAbsolute(file)) return file
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot use TSSTACK_LOG_FILE="${file}": expected an absolute path`,
  )
}

function metricsAddress(text: string): Settings['metricsAddress'] {
  if (text === '') return undefined
  const [, bracketed, plain, digits] = /^(?:(?:\[(.+)\]|([^:]+)):)?(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  if (port >= 1 && port <= 65_535) return { host: bracketed ?? plain ?? '127.0.0.1', port }
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot use TSSTACK_METRICS_ADDRESS="${text}": expected PORT or HOST:PORT`,
  )
}

function groupId(name: string): number {
  if (/^\d+$/.test(name)) return Number(name)
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find((candidate) => candidate.startsWith(`${name}:`))
  if (line === undefined)
    throw new TsstackError('NOT_FOUND', `Cannot find group "${name}": it is not in /etc/group`)
  return Number(line.split(':')[2])
}

function logLevel(text: string): LogLevel {
  if (text === 'debug' || text === 'info' || text === 'warn' || text === 'error') return text
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot use TSSTACK_LOG_LEVEL="${text}": expected debug, info, warn or error`,
  )
}
