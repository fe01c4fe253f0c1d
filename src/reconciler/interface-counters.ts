/** The counters of a container's network interfaces, as its own network namespace has them (man 5 proc, /proc/PID/net/dev). */
import { readFileSync } from 'node:fs'

/** Column of each in a line of /proc/PID/net/dev, after the name. */
const COLUMNS = {
  receive_bytes: 0,
  receive_packets: 1,
  receive_errors: 2,
  receive_packets_dropped: 3,
  transmit_bytes: 8,
  transmit_packets: 9,
  transmit_errors: 10,
  transmit_packets_dropped: 11,
} as const

export interface InterfaceCounters {
  readonly name: string
  readonly counters: Readonly<Record<keyof typeof COLUMNS, number>>
}

/** All but loopback; none when the process has just ended. */
export function readInterfaces(pid: number): InterfaceCounters[] {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/net/dev`, 'latin1')
  } catch {
    return []
  }
  return text
    .split('\n')
    .slice(2)
    .flatMap((line): InterfaceCounters[] => {
      const [name = '', ...values] = line.trim().split(/[:\s]+/)
      if (name === '' || name === 'lo') return []
      const counters = Object.entries(COLUMNS).map(([key, column]) => [key, Number(values[column])])
      return [{ name, counters: Object.fromEntries(counters) as InterfaceCounters['counters'] }]
    })
}
