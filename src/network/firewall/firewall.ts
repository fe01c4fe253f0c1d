/**
 * The firewall of all networks: one table of nf_tables, changed by whole transactions. Whatever a crash or somebody
 * else left, the next `sync` makes it what it should be.
 */
import { netlinkPort, NetlinkProtocol } from '../../kernel/netlink-socket.ts'
import {
  NetlinkError,
  openConnection,
  query,
  transact,
  type NetlinkConnection,
} from '../netlink/connection.ts'
import type { NetlinkRequest } from '../netlink/messages.ts'
import { compareElements, elementsOf, type Elements, type FirewallState } from './elements.ts'
import { acceptRequests, findForwardDrops, withdrawRequests } from './forward-rules.ts'
import {
  addElements,
  decodeGeneration,
  decodeTableHandle,
  deleteElements,
  deleteTable,
  frameBatch,
  GET_GENERATION,
  getTable,
  newTable,
} from './nf-tables.ts'
import { createRuleset, TABLE } from './ruleset.ts'
import { SETS } from './sets.ts'

/** Of the socket: one transaction of 50,000 published ports. */
const BUFFER_BYTES = 8 * 1024 * 1024

/** What a `sync` did. */
export interface FirewallReport {
  /** `replaced`: the whole table was written; `changed`: some elements; `kept`: nothing was to do. */
  readonly outcome: 'replaced' | 'changed' | 'kept'
  /** ufw decides what reaches published ports from outside. */
  readonly guarded: boolean
  /** Chains of others that drop our forwarded packets and that we can't adapt: `inet firewalld filter_FORWARD`. */
  readonly blockedBy: readonly string[]
}

export interface Firewall {
  /**
   * Makes the kernel's rules those of the state, in one transaction; repeated, it does nothing.
   * @throws {INVALID_ARGUMENT} for a state that can't be; nothing is changed then
   * @throws {SYSCALL_FAILED}
   */
  sync(state: FirewallState): FirewallReport
  /** Somebody else changed our table: the next `sync` writes it anew, in one transaction. */
  distrust(): void
  /** Marks the notifications that are about our own changes; see kernel/netlink-socket.ts. */
  readonly port: number
  /** Takes away everything of ours; without an error where there is nothing. */
  remove(): void
  close(): void
}

interface Desired {
  readonly elements: Elements
  readonly guard: boolean
}

/** What is known to be in the kernel. */
interface Applied extends Desired {
  readonly tableHandle: bigint
  /** After our last transaction; another number means that somebody changed something. */
  readonly generation: number
  readonly guarded: boolean
  readonly blockedBy: readonly string[]
}

/**
 * Opens the firewall of the calling thread's network namespace.
 * @throws {SYSCALL_FAILED}
 */
export function openFirewall(): Firewall {
  const connection = openConnection(NetlinkProtocol.NETFILTER, BUFFER_BYTES)
  let applied: Applied | undefined
  return {
    sync: (state) => {
      const desired = { elements: elementsOf(state), guard: state.guardForwarding === true }
      const before = applied
      applied = undefined // until this has gone well
      const { outcome, now } = apply(connection, before, desired)
      applied = now
      return { outcome, guarded: now.guarded, blockedBy: now.blockedBy }
    },
    distrust: () => {
      applied = undefined
    },
    get port() {
      return netlinkPort(connection.fd)
    },
    remove: () => {
      applied = undefined
      removeAll(connection)
    },
    close: () => {
      connection.close()
    },
  }
}

interface Result {
  readonly outcome: FirewallReport['outcome']
  readonly now: Applied
}

function apply(
  connection: NetlinkConnection,
  before: Applied | undefined,
  desired: Desired,
): Result {
  const generation = readGeneration(connection)
  if (before?.guard !== desired.guard) return replace(connection, desired, generation)
  const untouched = before.generation === generation
  if (!untouched && readTableHandle(connection) !== before.tableHandle)
    return replace(connection, desired, generation)
  // Somebody else's transaction may have been a new FORWARD chain.
  const surroundings = untouched
    ? { guarded: before.guarded, blockedBy: before.blockedBy, requests: [] }
    : adaptForwarding(connection)
  const requests = [...surroundings.requests, ...changeRequests(before.elements, desired.elements)]
  const { guarded, blockedBy } = surroundings
  const known = { ...desired, tableHandle: before.tableHandle, guarded, blockedBy }
  if (requests.length === 0) return { outcome: 'kept', now: { ...known, generation } }
  try {
    commit(connection, requests)
  } catch (error) {
    // An element was not what we knew: write everything anew.
    if (error instanceof NetlinkError)
      return replace(connection, desired, readGeneration(connection))
    throw error
  }
  return { outcome: 'changed', now: { ...known, generation: next(generation) } }
}

function replace(connection: NetlinkConnection, desired: Desired, generation: number): Result {
  const { guarded, blockedBy, requests } = adaptForwarding(connection)
  commit(connection, [
    newTable(TABLE), // so that there is one to delete
    deleteTable(TABLE),
    ...createRuleset(desired.guard),
    ...changeRequests(new Map(), desired.elements),
    ...requests,
  ])
  const tableHandle = readTableHandle(connection) ?? 0n
  return {
    outcome: 'replaced',
    now: { ...desired, tableHandle, guarded, blockedBy, generation: next(generation) },
  }
}

/** Removals first: a published port may move from one container to another in the same transaction. */
function changeRequests(before: Elements, after: Elements): NetlinkRequest[] {
  const changes = compareElements(before, after)
  return [
    ...changes.flatMap(({ set, removed }) => deleteElements(TABLE, SETS[set].name, removed)),
    ...changes.flatMap(({ set, added }) => addElements(TABLE, SETS[set].name, added)),
  ]
}

function adaptForwarding(connection: NetlinkConnection): {
  blockedBy: readonly string[]
  guarded: boolean
  requests: NetlinkRequest[]
} {
  const drops = findForwardDrops(connection, TABLE.name)
  return {
    blockedBy: drops.foreign,
    requests: drops.adaptable.flatMap((chain) =>
      acceptRequests(connection, chain, { outOnly: drops.guarded.includes(chain) }),
    ),
    guarded: drops.guarded.length > 0,
  }
}

function commit(connection: NetlinkConnection, requests: readonly NetlinkRequest[]): void {
  const batch = frameBatch(requests)
  transact(connection, batch, batch.length - 2) // the kernel acknowledges the last request, not the frame
}

function readGeneration(connection: NetlinkConnection): number {
  const [body] = query(connection, GET_GENERATION)
  return body === undefined ? 0 : decodeGeneration(body)
}

/** The number after one more transaction; 0 is left out. */
function next(generation: number): number {
  return (generation + 1) >>> 0 || 1
}

function readTableHandle(connection: NetlinkConnection): bigint | undefined {
  try {
    const [body] = query(connection, getTable(TABLE))
    return body === undefined ? undefined : decodeTableHandle(body)
  } catch (error) {
    if (error instanceof NetlinkError && error.errnoName === 'ENOENT') return undefined
    throw error
  }
}

function removeAll(connection: NetlinkConnection): void {
  const withdrawals = withdrawRequests(connection)
  const table = readTableHandle(connection) === undefined ? [] : [deleteTable(TABLE)]
  if (withdrawals.length + table.length > 0) commit(connection, [...withdrawals, ...table])
}
