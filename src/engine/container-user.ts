/** Who a process in the container runs as: `user` and `group_add` looked up in the container's own files. */
import { TsstackError } from '../errors.ts'
import { readContainerFile } from './container-root.ts'

export interface ContainerUser {
  readonly uid: number
  readonly gid: number
  /** Supplementary groups, the primary one not repeated. */
  readonly groups: readonly number[]
  readonly home: string
}

/** The size of a stack's range. */
const MAX_STACK_ID = 65_535
/** (uid_t) -1 is none (man 2 setresuid). */
const MAX_HOST_ID = 2 ** 32 - 2

interface PasswdEntry {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
}

interface GroupEntry {
  readonly name: string
  readonly gid: number
  readonly members: readonly string[]
}

function parsePasswd(text: string): PasswdEntry[] {
  return text.split('\n').flatMap((line) => {
    const [name = '', , uid, gid, , home = '/'] = line.split(':')
    return name === '' || uid === undefined || gid === undefined
      ? []
      : [{ name, uid: Number(uid), gid: Number(gid), home }]
  })
}

function parseGroups(text: string): GroupEntry[] {
  return text.split('\n').flatMap((line) => {
    const [name = '', , gid, members = ''] = line.split(':')
    return name === '' || gid === undefined
      ? []
      : [{ name, gid: Number(gid), members: members.split(',') }]
  })
}

function numeric(text: string): number | undefined {
  return /^\d+$/.test(text) ? Number(text) : undefined
}

function lookUpGroup(group: string, groups: readonly GroupEntry[]): number {
  const gid = numeric(group) ?? groups.find((entry) => entry.name === group)?.gid
  if (gid !== undefined) return gid
  throw new TsstackError(
    'NOT_FOUND',
    `Cannot find group "${group}": it is not in the image's /etc/group`,
    {
      hint: 'Use a numeric id, or add the group to the image',
    },
  )
}

/**
 * Resolves `user[:group]`, names or numbers, as Docker does: a user without a group has its passwd group and is in
 * every group that lists it; a number that passwd doesn't know has group 0.
 * @throws {NOT_FOUND} for a name that the container doesn't know, {INVALID_ARGUMENT} for an id that it can't have
 */
export function resolveUser(
  rootFd: number,
  user: string | undefined,
  additional: readonly string[],
  options: { readonly hasHostIds?: boolean } = {},
): ContainerUser {
  const found = lookUpUser(rootFd, user, additional)
  const max = options.hasHostIds === true ? MAX_HOST_ID : MAX_STACK_ID
  const outside = [found.uid, found.gid, ...found.groups].find((id) => !(id >= 0 && id <= max))
  if (outside === undefined) return found
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot use the user or group id ${outside}: it is outside 0..${max}`,
    options.hasHostIds === true
      ? {}
      : { hint: 'Set "userns_mode: host" on the service: a stack has as many ids of its own' },
  )
}

function lookUpUser(
  rootFd: number,
  user: string | undefined,
  additional: readonly string[],
): ContainerUser {
  const [userPart = '', groupPart] = (user ?? '').split(':', 2)
  const isPlainRoot = userPart === '' || userPart === '0'
  const needsGroups = groupPart !== undefined || additional.length > 0 || !isPlainRoot
  const passwd = parsePasswd(readContainerFile(rootFd, '/etc/passwd') ?? '')
  const groups = needsGroups ? parseGroups(readContainerFile(rootFd, '/etc/group') ?? '') : []
  const uid = isPlainRoot ? 0 : numeric(userPart)
  const entry = passwd.find((candidate) =>
    uid === undefined ? candidate.name === userPart : candidate.uid === uid,
  )
  if (uid === undefined && entry === undefined) {
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot find user "${userPart}": it is not in the image's /etc/passwd`,
      {
        hint: 'Use a numeric id, or add the user to the image',
      },
    )
  }
  const gid = groupPart === undefined ? (entry?.gid ?? 0) : lookUpGroup(groupPart, groups)
  const listed =
    groupPart === undefined && entry !== undefined
      ? groups.filter((group) => group.members.includes(entry.name)).map((group) => group.gid)
      : []
  const extra = additional.map((group) => lookUpGroup(group, groups))
  return {
    uid: uid ?? entry?.uid ?? 0,
    gid,
    groups: [...new Set([...listed, ...extra])].filter((group) => group !== gid),
    home: entry?.home ?? '/',
  }
}
