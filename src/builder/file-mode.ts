/** `--chmod`: octal, or symbolic as of chmod(1); without `ugoa` it is for all, whatever the umask. */
import { dockerfileError, type Place } from './dockerfile/place.ts'

const BITS = { u: 0o700, g: 0o070, o: 0o007, a: 0o777 } as const
/** Setuid, setgid and the sticky bit. */
const SPECIAL = { u: 0o4000, g: 0o2000, o: 0o1000, a: 0o7000 } as const
const OCTAL = /^[0-7]{1,4}$/
const CLAUSE = /^([ugoa]*)((?:[-+=](?:[rwxXst]+|[ugo]|))+)$/
const ACTION = /([-+=])([ugo]|[rwxXst]*)/g

type Who = keyof typeof BITS

function isMode(mode: string): boolean {
  return OCTAL.test(mode) || mode.split(',').every((clause) => CLAUSE.test(clause))
}

/** @throws {INVALID_ARGUMENT} */
export function checkMode(mode: string, place: Place): void {
  if (isMode(mode)) return
  const hint = 'Write octal digits, such as 0755, or u=rwX,go=rX'
  throw dockerfileError(place, `"--chmod=${mode}" is no mode`, hint)
}

/** For all classes alike; the caller takes those that are meant. */
function bitsOf(permissions: string, mode: number, isDirectory: boolean): number {
  if (/^[ugo]$/.test(permissions)) {
    const shift = { u: 6, g: 3, o: 0 }[permissions as 'u' | 'g' | 'o']
    return ((mode >> shift) & 0o7) * 0o111
  }
  const isSearchable = permissions.includes('X') && (isDirectory || (mode & 0o111) !== 0)
  return (
    (permissions.includes('r') ? 0o444 : 0) |
    (permissions.includes('w') ? 0o222 : 0) |
    (permissions.includes('x') || isSearchable ? 0o111 : 0)
  )
}

function applyClause(mode: number, clause: string, isDirectory: boolean): number {
  const [, whos = '', actions = ''] = CLAUSE.exec(clause) ?? []
  const classes = (whos === '' ? ['a'] : whos.split('')) as Who[]
  const mask = classes.reduce((total, who) => total | BITS[who], 0)
  const special = classes.reduce((total, who) => total | SPECIAL[who], 0)
  return [...actions.matchAll(ACTION)].reduce((current, [, operator, permissions = '']) => {
    const setIds = permissions.includes('s') ? special & 0o6000 : 0
    const sticky = permissions.includes('t') ? special & 0o1000 : 0
    const bits = (bitsOf(permissions, current, isDirectory) & mask) | setIds | sticky
    if (operator === '+') return current | bits
    if (operator === '-') return current & ~bits
    // Set-ids of directories stay unless they are named, as with GNU's chmod.
    const cleared = isDirectory ? special & 0o1000 : special
    return (current & ~mask & ~cleared) | bits
  }, mode)
}

/** @param change - a mode that was checked; absent: the mode stays */
export function changeMode(mode: number, change: string | undefined, isDirectory: boolean): number {
  if (change === undefined) return mode
  if (OCTAL.test(change)) return Number.parseInt(change, 8)
  return change
    .split(',')
    .reduce((result, clause) => applyClause(result, clause, isDirectory), mode)
}
