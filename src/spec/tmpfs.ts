/** A service's `tmpfs`: `PATH[:OPTIONS]`, options as of mount(8) (moby/sys/mount: MergeTmpfsOptions). */
import { cleanPath } from './posix-path.ts'

export interface TmpfsMount {
  /** Absolute. */
  readonly target: string
  /** Those that the file system itself takes. */
  readonly options: Readonly<Record<string, string>>
  readonly readOnly: boolean
  readonly noExec: boolean
  readonly noSuid: boolean
  readonly noDev: boolean
}

const VALUES = new Set(['size', 'mode', 'uid', 'gid', 'nr_inodes', 'nr_blocks', 'mpol'])
/** Each with what it undoes; the last one counts. */
const FLAGS = [
  ['ro', 'rw'],
  ['noexec', 'exec'],
  ['nosuid', 'suid'],
  ['nodev', 'dev'],
] as const
/** Nobody can tell the difference in memory that one container has. */
const MEANINGLESS = new Set([
  ...['defaults', 'sync', 'async', 'dirsync', 'nodirsync', 'remount', 'mand', 'nomand'],
  ...['atime', 'noatime', 'diratime', 'nodiratime', 'relatime', 'norelatime'],
  ...['strictatime', 'nostrictatime'],
  ...['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave', 'unbindable', 'runbindable'],
])
const KNOWN = new Set<string>([...FLAGS.flat(), ...MEANINGLESS])

/** The mount that a text stands for, or what is wrong with it. Unless it says so, nothing of it can be executed. */
export function parseTmpfs(text: string): TmpfsMount | string {
  const [path = '', optionText = ''] = text.split(/:(.*)/s)
  if (!path.startsWith('/')) return `"${path}" is not an absolute path`
  const words = optionText.split(',').filter((word) => word !== '')
  const options: Record<string, string> = {}
  for (const word of words) {
    const [name = '', value] = word.split(/=(.*)/s)
    if (value === undefined ? !KNOWN.has(word) : !VALUES.has(name))
      return `option "${word}" is not known`
    if (value !== undefined) options[name] = value
  }
  const isSet = ([on, off]: readonly [string, string], byDefault: boolean): boolean => {
    const last = words.findLast((word) => word === on || word === off)
    return last === undefined ? byDefault : last === on
  }
  const [ro, noexec, nosuid, nodev] = FLAGS
  return {
    target: cleanPath(path),
    options,
    readOnly: isSet(ro, false),
    noExec: isSet(noexec, true),
    noSuid: isSet(nosuid, true),
    noDev: isSet(nodev, true),
  }
}
