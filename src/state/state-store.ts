/**
 * What the daemon must remember: a SQLite database in the state directory. The kernel is the truth about what runs,
 * this about what was wanted and made. Each kind of record is a table of JSON documents by key, kept in memory and
 * written through, so that reading costs nothing and a kill at any instruction loses nothing that was reported as done.
 *
 * What was wanted is refused on a full disk. What has happened can't be: such kinds of records, and events, are changed in
 * memory, and written when there is room.
 *
 *   <state dir>/state.db      tables: document (kind, key, body), archive (kind, key, body), event (sequence, body)
 */
import { chmodSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { TsstackError, toTsstackError } from '../errors.ts'
import { log } from '../log.ts'
import { Backlog, type Change } from './backlog.ts'

const SCHEMA_VERSION = 1
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS document (kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS archive (kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS event (sequence INTEGER PRIMARY KEY, body TEXT NOT NULL);
`
/** How often it is tried whether there is room again. */
const BACKLOG_PAUSE_MS = 250
/** SQLITE_FULL, and SQLITE_IOERR, which a full disk is at times (https://sqlite.org/rescode.html). */
const FULL_CODES: readonly unknown[] = [13, 10]
/** Older events are forgotten. */
const MAX_EVENTS = 10_000

/** Records of one kind by key, in memory and on disk. Values are JSON and must not be changed in place. */
export interface Collection<T> {
  get(key: string): T | undefined
  /** Creates or replaces; durable when it returns (to a crash of the daemon). */
  put(key: string, value: T): void
  delete(key: string): void
  values(): T[]
  entries(): [string, T][]
}

/** Records that outlive what they tell of, such as the history of a stack: on disk only, read when somebody asks. */
export interface Archive<T> {
  get(key: string): T | undefined
  put(key: string, value: T): void
  delete(key: string): void
  /** Those whose key begins with the text, in the order of the keys. */
  list(prefix: string): T[]
  /** The last one of those. */
  last(prefix: string): T | undefined
}

export interface StoredEvent {
  readonly number: number
  readonly body: string
}

export interface CollectionOptions {
  /** Records of what has happened: on a full disk they wait for room, and `put` and `delete` do not throw. */
  readonly ofFacts?: boolean
}

export interface StateStore {
  collection<T>(kind: string, options?: CollectionOptions): Collection<T>
  archive<T>(kind: string): Archive<T>
  /**
   * All changes that the work makes become durable together, or none does when the process is killed in it.
   * @throws when there is no room on the disk, and not all of them are of facts
   */
  atomically(work: () => void): void
  /** Never throws for lack of room. */
  appendEvent(body: string): void
  /** The number of the last event; 0 before the first. */
  lastEvent(): number
  /** Events that are still kept, from a number on, oldest first. */
  eventsFrom(number: number, count: number): StoredEvent[]
  close(): void
}

/**
 * Opens or makes the database.
 * @throws {FAILED_PRECONDITION} when it was written by a newer version
 */
export function openStateStore(file: string): StateStore {
  const database = new DatabaseSync(file)
  chmodSync(file, 0o600) // it holds secrets
  // In WAL mode NORMAL survives a crash of the process; only a crash of the host can lose the last moment.
  database.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000;',
  )
  const { user_version: version } = database.prepare('PRAGMA user_version').get() as {
    user_version: number
  }
  if (version > SCHEMA_VERSION) {
    database.close()
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot open "${file}": it was written by a newer version of tsstack`,
    )
  }
  database.exec(`${SCHEMA} PRAGMA user_version = ${SCHEMA_VERSION};`)
  return new SqliteStore(database)
}

class SqliteStore implements StateStore {
  readonly #database: DatabaseSync
  readonly #put: StatementSync
  readonly #delete: StatementSync
  readonly #appendEvent: StatementSync
  readonly #eventsFrom: StatementSync
  readonly #trimEvents: StatementSync
  #eventCount: number
  readonly #backlog = new Backlog()
  #transaction: Transaction | undefined
  #retry: NodeJS.Timeout | undefined

  constructor(database: DatabaseSync) {
    this.#database = database
    this.#put = database.prepare('INSERT OR REPLACE INTO document VALUES (?, ?, ?)')
    this.#delete = database.prepare('DELETE FROM document WHERE kind = ? AND key = ?')
    this.#appendEvent = database.prepare('INSERT INTO event (body) VALUES (?)')
    this.#eventsFrom = database.prepare(
      'SELECT sequence, body FROM event WHERE sequence >= ? ORDER BY sequence LIMIT ?',
    )
    this.#trimEvents = database.prepare(
      'DELETE FROM event WHERE sequence <= (SELECT max(sequence) FROM event) - ?',
    )
    this.#eventCount = (
      database.prepare('SELECT count(*) AS n FROM event').get() as { n: number }
    ).n
  }

  collection<T>(kind: string, { ofFacts = false }: CollectionOptions = {}): Collection<T> {
    const rows = this.#database
      .prepare('SELECT key, body FROM document WHERE kind = ? ORDER BY key')
      .all(kind)
    const cache = new Map(
      rows.map((row) => [row['key'] as string, JSON.parse(row['body'] as string) as T]),
    )
    return {
      get: (key) => cache.get(key),
      put: (key, value) => {
        this.#write({ kind, key, body: JSON.stringify(value), ofFacts })
        cache.set(key, value)
      },
      delete: (key) => {
        if (!cache.has(key)) return
        this.#write({ kind, key, body: undefined, ofFacts })
        cache.delete(key)
      },
      values: () => [...cache.values()],
      entries: () => [...cache.entries()],
    }
  }

  archive<T>(kind: string): Archive<T> {
    const get = this.#database.prepare('SELECT body FROM archive WHERE kind = ? AND key = ?')
    const put = this.#database.prepare('INSERT OR REPLACE INTO archive VALUES (?, ?, ?)')
    const remove = this.#database.prepare('DELETE FROM archive WHERE kind = ? AND key = ?')
    // A range of keys, which the primary key answers by itself; no UTF-8 text sorts after U+10FFFF.
    const range = 'SELECT body FROM archive WHERE kind = ? AND key >= ? AND key < ? ORDER BY key'
    const list = this.#database.prepare(range)
    const last = this.#database.prepare(`${range} DESC LIMIT 1`)
    const end = (prefix: string): string => `${prefix}\u{10ffff}`
    const parse = (row: Record<string, unknown>): T => JSON.parse(row['body'] as string) as T
    return {
      get: (key) => {
        const row = get.get(kind, key)
        return row === undefined ? undefined : parse(row)
      },
      put: (key, value) => {
        put.run(kind, key, JSON.stringify(value))
      },
      delete: (key) => {
        remove.run(kind, key)
      },
      list: (prefix) => list.all(kind, prefix, end(prefix)).map(parse),
      last: (prefix) => {
        const row = last.get(kind, prefix, end(prefix))
        return row === undefined ? undefined : parse(row)
      },
    }
  }

  atomically(work: () => void): void {
    // A listener of an event may write as well, within the transaction that the event is part of.
    if (this.#transaction !== undefined) {
      work()
      return
    }
    const failure = this.#lackOfRoom()
    const transaction: Transaction = { facts: [], events: [], hasOthers: false, failure }
    this.#transaction = transaction
    try {
      this.#database.exec('BEGIN')
      work()
    } finally {
      this.#transaction = undefined
      this.#commit(transaction)
    }
  }

  /** A transaction that fails must not stay open: nothing could be written ever after. */
  #commit(transaction: Transaction): void {
    try {
      if (transaction.failure !== undefined) throw transaction.failure
      if (this.#database.isTransaction) this.#database.exec('COMMIT')
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      if (isFull(error)) this.#postpone(transaction)
      if (!isFull(error) || transaction.hasOthers) throw toTsstackError(error)
    }
  }

  #write(change: Change & { readonly ofFacts: boolean }): void {
    if (!change.ofFacts) {
      if (this.#transaction !== undefined) this.#transaction.hasOthers = true
      if (this.#transaction?.failure !== undefined) throw this.#transaction.failure
      this.#flush()
      this.#execute(change)
      return
    }
    this.#transaction?.facts.push(change)
    this.#tryNow({ facts: [change], events: [] }, () => {
      this.#execute(change)
    })
  }

  appendEvent(body: string): void {
    this.#transaction?.events.push(body)
    this.#tryNow({ facts: [], events: [body] }, () => {
      this.#insertEvent(body)
    })
  }

  /** Of facts: in a transaction the end of that decides what becomes of them. */
  #tryNow(facts: Postponed, work: () => void): void {
    if (this.#transaction?.failure !== undefined) return
    try {
      this.#flush()
      work()
    } catch (error) {
      if (!isFull(error)) throw error
      if (this.#transaction === undefined) this.#postpone(facts)
      else this.#transaction.failure = toTsstackError(error)
    }
  }

  #execute({ kind, key, body }: Change): void {
    if (body === undefined) this.#delete.run(kind, key)
    else this.#put.run(kind, key, body)
  }

  #insertEvent(body: string): void {
    this.#appendEvent.run(body)
    this.#eventCount++
    if (this.#eventCount < MAX_EVENTS * 1.1) return
    this.#trimEvents.run(MAX_EVENTS)
    this.#eventCount = MAX_EVENTS
  }

  #postpone({ facts, events }: Postponed): void {
    if (this.#backlog.isEmpty) log.warn('the disk is full: what happens is written down later')
    this.#backlog.add(facts, events)
    this.#retry ??= setInterval(() => {
      try {
        this.#flush()
      } catch {
        // There is no room yet.
      }
    }, BACKLOG_PAUSE_MS).unref()
  }

  /** A transaction that came before what waits would be undone by it. */
  #lackOfRoom(): Error | undefined {
    try {
      this.#flush()
      return undefined
    } catch (error) {
      if (isFull(error)) return toTsstackError(error)
      throw error
    }
  }

  /** Writes what waits, before anything that comes after it. @throws while there is no room */
  #flush(): void {
    if (this.#backlog.isEmpty || this.#transaction !== undefined) return
    const { changes, events } = this.#backlog
    this.#database.exec('BEGIN')
    try {
      for (const change of changes) this.#execute(change)
      for (const event of events) this.#insertEvent(event)
      this.#database.exec('COMMIT')
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
    this.#backlog.clear()
    clearInterval(this.#retry)
    this.#retry = undefined
  }

  lastEvent(): number {
    const row = this.#database.prepare('SELECT max(sequence) AS last FROM event').get()
    return Number(row?.['last'] ?? 0)
  }

  eventsFrom(number: number, count: number): StoredEvent[] {
    return this.#eventsFrom.all(number, count).map((row) => ({
      number: row['sequence'] as number,
      body: row['body'] as string,
    }))
  }

  close(): void {
    try {
      this.#flush()
    } catch (error) {
      log.warn('some of what happened could not be written down', { error })
    }
    clearInterval(this.#retry)
    this.#database.close()
  }
}

interface Postponed {
  readonly facts: Change[]
  readonly events: string[]
}

interface Transaction extends Postponed {
  /** Of what was wanted, which must not be lost without a word. */
  hasOthers: boolean
  /** Nothing more is written in it. */
  failure: Error | undefined
}

function isFull(error: unknown): boolean {
  const { cause = error } = error as { cause?: unknown }
  const { errcode } = cause as { errcode?: unknown }
  return typeof errcode === 'number' && FULL_CODES.includes(errcode & 0xff)
}
