/** Flags that several commands have, with the same meaning. */
import type { Flag } from './args.ts'

export const GRACE_FLAG: Flag = {
  name: 'timeout',
  short: 't',
  kind: 'seconds',
  value: 'SECONDS',
  help: "Grace before containers are killed (default: each service's own)",
}

export const WAIT_FLAG: Flag = {
  name: 'wait',
  kind: 'bool',
  help: 'Return when the services are running or healthy',
}

export const WAIT_TIMEOUT_FLAG: Flag = {
  name: 'wait-timeout',
  kind: 'seconds',
  value: 'SECONDS',
  help: 'Wait at most this long',
}

export const QUIET_TRANSFER_FLAGS: readonly Flag[] = [
  { name: 'quiet-pull', kind: 'bool', help: 'No progress of downloads' },
  { name: 'quiet-build', kind: 'bool', help: 'No progress of builds' },
]
