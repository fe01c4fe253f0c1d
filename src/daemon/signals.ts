/**
 * What the daemon does when it is told to:
 *
 *   SIGTERM, SIGINT   leave; containers go on
 *   SIGHUP            read the settings again, and open the log file anew
 *   SIGUSR2           renewal in place (renewal.ts)
 */
import type { Context } from '../reconciler/context.ts'
import { log, setLogLevel } from '../log.ts'
import type { DaemonLog } from './daemon-log.ts'
import type { Listener } from './listener.ts'
import type { NetworkClaim } from './network-claim.ts'
import { becomeAnew, settleRequests, tryProgram } from './renewal.ts'
import type { RequestsInFlight } from './requests-in-flight.ts'
import { notifyServiceManager } from './service-manager.ts'
import { readSettings } from './settings.ts'
import { withSettingsFile } from './settings-file.ts'

export interface RunningDaemon {
  readonly context: Context
  readonly network: NetworkClaim
  readonly listener: Listener
  readonly requests: RequestsInFlight
  /** Raised when it is about to leave. */
  readonly leaving: AbortController
  readonly daemonLog: DaemonLog | undefined
}

/** Call once, when everything runs. */
export function obeySignals(daemon: RunningDaemon): void {
  const onLeave = (): void => {
    leave(daemon)
  }
  process.on('SIGTERM', onLeave)
  process.on('SIGINT', onLeave)
  process.on('SIGHUP', () => {
    reload(daemon)
  })
  let isRenewing = false
  process.on('SIGUSR2', () => {
    if (isRenewing) return
    isRenewing = true
    renew(daemon).catch((error: unknown) => {
      log.error('daemon was not renewed', { error })
      isRenewing = false
    })
  })
}

function leave({ context, network, listener }: RunningDaemon): void {
  notifyServiceManager('stopping', 'Containers go on')
  listener.close()
  closeContext(context)
  network.close()
  log.info('daemon leaves, containers go on')
  process.exit(0)
}

function closeContext(context: Context): void {
  context.loop.close()
  context.networks.close()
  context.state.close()
}

/** Of the settings, those that need no new daemon: level and file of the log, who may use the socket. */
function reload({ listener, daemonLog }: RunningDaemon): void {
  notifyServiceManager('reloading', 'Reading the settings again')
  try {
    daemonLog?.reopen()
    const settings = readSettings(withSettingsFile(process.env))
    setLogLevel(settings.logLevel)
    daemonLog?.limit(settings.logMaxBytes)
    listener.allow(settings.socketGroup)
    log.info('settings were read again', { logLevel: settings.logLevel })
  } catch (error) {
    log.error('settings stay as they were', { error })
  }
  notifyServiceManager('ready', 'Ready')
}

async function renew(daemon: RunningDaemon): Promise<void> {
  const { context, listener, requests, leaving } = daemon
  await tryProgram(process.env)
  notifyServiceManager('reloading', 'Renewing the daemon')
  leaving.abort()
  const cut = await settleRequests(requests)
  closeContext(context)
  log.info('daemon renews itself', { cutRequests: cut })
  becomeAnew({ ...definedOf(process.env), ...listener.inherit() })
}

function definedOf(environment: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value]],
    ),
  )
}
