/** Who has a port of the host: from /proc/net and the descriptors of all processes (man 5 proc). */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

const LISTEN = '0A'
const TIME_WAIT = '06'
const MAX_PROCESSES = 20_000

/** What /proc tells of a port. */
export interface PortUse {
  /** Some socket listens on it (TCP) or is bound to it (UDP). */
  readonly inUse: boolean
  /** Closed connections wait on it for stray packets. */
  readonly waiting: boolean
  /** Name and id of a process that has it, when that could be found out: `nginx (pid 123)`. */
  readonly process?: string
}

/** Looks a port up; slow (all processes' descriptors), so only for error messages. */
export function findPortUse(protocol: string, port: number): PortUse {
  const rows = [protocol, `${protocol}6`].flatMap((table) => rowsOf(table, port))
  const open = rows.filter((row) => protocol !== 'tcp' || row.state === LISTEN)
  const process = findProcess(new Set(open.map((row) => `socket:[${row.inode}]`)))
  return {
    inUse: open.length > 0,
    waiting: rows.some((row) => row.state === TIME_WAIT),
    ...(process === undefined ? {} : { process }),
  }
}

interface SocketRow {
  readonly state: string
  readonly inode: string
}

function rowsOf(table: string, port: number): SocketRow[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return read(`/proc/thread-self/net/${table}`)
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/)
      if (fields[1]?.endsWith(suffix) !== true) return []
      return [{ state: fields[3] ?? '', inode: fields[9] ?? '' }]
    })
}

function findProcess(links: ReadonlySet<string>): string | undefined {
  if (links.size === 0) return undefined
  for (const pid of list('/proc')
    .filter((name) => /^\d+$/.test(name))
    .slice(0, MAX_PROCESSES)) {
    const folder = `/proc/${pid}/fd`
    if (!list(folder).some((fd) => links.has(linkOf(`${folder}/${fd}`)))) continue
    return `${read(`/proc/${pid}/comm`).trim()} (pid ${pid})`
  }
  return undefined
}

// Processes end while they are looked at: whatever is gone is empty.
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
