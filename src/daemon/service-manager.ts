/** What a service manager is told, by its protocol alone: no library, no helper program (man 3 sd_notify). */
import { sendToPath } from '../kernel/unix-socket.ts'
import { log } from '../log.ts'

export type ServiceState = 'ready' | 'reloading' | 'stopping'

/** Nothing happens where no service manager asked for it (`NOTIFY_SOCKET`). */
export function notifyServiceManager(state: ServiceState, status: string): void {
  const socket = process.env['NOTIFY_SOCKET']
  if (socket === undefined || socket === '') return
  try {
    sendToPath(socket, messageOf(state, status))
  } catch (error) {
    log.warn('service manager could not be notified', { socket, error })
  }
}

/** Lines of `NAME=value`. A reload carries its time, by which systemd knows the READY=1 that ends it (v253). */
function messageOf(state: ServiceState, status: string): string {
  const lines = [`STATUS=${status.replaceAll('\n', ' ')}`]
  if (state === 'ready') lines.push('READY=1', `MAINPID=${process.pid}`)
  else if (state === 'stopping') lines.push('STOPPING=1')
  else lines.push('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`)
  return lines.join('\n')
}
