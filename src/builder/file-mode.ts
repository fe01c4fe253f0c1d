/** `--chmod`: octal, or symbolic as of chmod(1). */

const WHO = { u: 0o700, g: 0o070, o: 0o007, a: 0o777 } as const
const SPECIAL = { u: 0o4000, g: 0o2000, o: 0, a: 0o6000 } as const

function bitsOf(permissions: string, mode: number, isDirectory: boolean): number {
  let bits = 0
  if (permissions.includes('r')) bits |= 0o444
  if (permissions.includes('w')) bits |= 0o222
  if (permissions.includes('x')) bits |= 0o111
  if (permissions.includes('X') && (isDirectory || (mode & 0o111) !== 0)) bits |= 0o111
  return bits
}

function applyClause(mode: number, clause: string, isDirectory: boolean): number {
  const [, whos = '', operator = '', permissions = ''] =
    /^([ugoa]*)([-+=])([rwxXst]*)$/.exec(clause) ?? []
  const classes = (whos === '' ? ['a'] : whos.split('')) as (keyof typeof WHO)[]
  const mask = classes.reduce((total, who) => total | WHO[who], 0)
  const special = permissions.includes('s')
    ? classes.reduce((total, who) => total | SPECIAL[who], 0)
    : 0
  const sticky = permissions.includes('t') ? 0o1000 : 0
  const bits = (bitsOf(permissions, mode, isDirectory) & mask) | special | sticky
  if (operator === '+') return mode | bits
  return operator === '-' ? mode & ~bits : (mode & ~mask) | bits
}

/** @param change - absent: the mode stays */
export function changeMode(mode: number, change: string | undefined, isDirectory: boolean): number {
  if (change === undefined) return mode
  if (/^[0-7]+$/.test(change)) return Number.parseInt(change, 8)
  return change
    .split(',')
    .filter((clause) => clause !== '')
    .reduce((result, clause) => applyClause(result, clause, isDirectory), mode)
}
