/**
 * /etc/passwd and /etc/group of a host: image (man 5 passwd, man 5 group): root, nobody and the ids that are the same
 * on every host of this distribution (below 100), plus the system users that an image's items run as. No passwords, no
 * people.
 */
import fs from 'node:fs'
import type { LayerEntry } from './layer-entry.ts'

interface Account {
  readonly name: string
  readonly id: number
  /** The line without its end. */
  readonly line: string
}

export interface Accounts {
  readonly users: readonly Account[]
  readonly groups: readonly Account[]
}

const MAX_STATIC_ID = 99
const MAX_SYSTEM_ID = 999
const NOBODY = 65_534
/** Shorter user names would match too many packages. */
const MIN_PREFIX = 3

const ROOT_USER: Account = { name: 'root', id: 0, line: 'root:x:0:0:root:/root:/bin/sh' }
const ROOT_GROUP: Account = { name: 'root', id: 0, line: 'root:x:0:' }

function readLines(file: string): string[][] {
  try {
    return fs
      .readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
  } catch {
    return []
  }
}

function isSystem({ id }: Account): boolean {
  return id > 0 && (id <= MAX_SYSTEM_ID || id === NOBODY)
}

/** The system accounts of this host. */
export function readAccounts(): Accounts {
  const users = readLines('/etc/passwd').flatMap(
    ([name = '', , uid, gid, , home = '/']): Account[] => {
      const id = Number(uid)
      return name === '' || uid === undefined
        ? []
        : [{ name, id, line: `${name}:x:${id}:${Number(gid)}:${name}:${home}:/usr/sbin/nologin` }]
    },
  )
  const groups = readLines('/etc/group').flatMap(([name = '', , gid]): Account[] =>
    name === '' || gid === undefined
      ? []
      : [{ name, id: Number(gid), line: `${name}:x:${Number(gid)}:` }],
  )
  return {
    users: [ROOT_USER, ...users.filter(isSystem)],
    groups: [ROOT_GROUP, ...groups.filter(isSystem)],
  }
}

function byId(a: Account, b: Account): number {
  return a.id - b.id || (a.name < b.name ? -1 : 1)
}

function fileEntry(path: string, accounts: readonly Account[]): LayerEntry {
  const lines = accounts.toSorted(byId).map(({ line }) => `${line}\n`)
  const attributes = { path, mode: 0o644, uid: 0, gid: 0, mtime: 0 }
  return { ...attributes, type: 'content', content: Buffer.from(lines.join('')) }
}

export interface WantedAccounts {
  readonly uids: ReadonlySet<number>
  readonly gids: ReadonlySet<number>
  /** Programs and packages: `postgresql-15` wants the user `postgres`, `redis-server` the user `redis`. */
  readonly names: readonly string[]
}

/** The two files; `isBase` tells that they hold nothing beyond what every image has. */
export function formatAccounts(
  accounts: Accounts,
  wanted: WantedAccounts,
): { readonly entries: readonly LayerEntry[]; readonly isBase: boolean } {
  const isStatic = ({ id }: Account): boolean => id <= MAX_STATIC_ID || id === NOBODY
  const isNamed = ({ name }: Account): boolean =>
    name.length >= MIN_PREFIX && wanted.names.some((item) => item.startsWith(name))
  const users = accounts.users.filter(
    (user) => isStatic(user) || wanted.uids.has(user.id) || isNamed(user),
  )
  const primary = new Set(users.map(({ line }) => Number(line.split(':')[3])))
  const groups = accounts.groups.filter(
    (group) =>
      isStatic(group) || wanted.gids.has(group.id) || primary.has(group.id) || isNamed(group),
  )
  return {
    entries: [fileEntry('etc/passwd', users), fileEntry('etc/group', groups)],
    isBase: users.every(isStatic) && groups.every(isStatic),
  }
}
