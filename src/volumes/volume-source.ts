/**
 * The options of the local volume driver (`type`, `o`, `device`: those of mount(8)) as what the kernel's mount API takes.
 * Pure.
 */
import { TsstackError } from '../errors.ts'

/** Where a volume with options of its own has its files. */
export type VolumeSource =
  | {
      readonly kind: 'bind'
      readonly path: string
      readonly recursive: boolean
      readonly readOnly: boolean
    }
  | {
      readonly kind: 'file-system'
      readonly type: string
      /** In the order given; `true` is a flag without a value. */
      readonly options: readonly (readonly [name: string, value: string | true])[]
      readonly readOnly: boolean
      readonly noExec: boolean
    }

const KNOWN = new Set(['type', 'o', 'device'])
/** Words of mount(8) that say what is so anyway, or what only its own table of mounts needs. */
const MEANINGLESS = new Set([
  ...['rw', 'suid', 'nosuid', 'dev', 'nodev', 'exec', 'auto', 'noauto', 'user', 'nouser'],
  ...['defaults', '_netdev', 'nofail', 'relatime', 'atime', 'noatime', 'nodiratime', 'async'],
])
/** What a container may have mounted without the kernel reading a disk that somebody prepared. */
const TYPES = new Set(['tmpfs', 'nfs', 'nfs4', 'cifs', 'smb3', 'ramfs'])
const BIND_TYPES = new Set(['', 'none', 'bind'])

/**
 * @throws {INVALID_ARGUMENT} for options that can't be, {UNIMPLEMENTED} for a kind of file system that is not allowed
 */
export function volumeSourceOf(
  name: string,
  driverOptions: Readonly<Record<string, string>>,
): VolumeSource {
  const invalid = (state: string, hint: string): TsstackError =>
    new TsstackError('INVALID_ARGUMENT', `Cannot use volume "${name}": ${state}`, { hint })
  const unknown = Object.keys(driverOptions).find((key) => !KNOWN.has(key))
  if (unknown !== undefined)
    throw invalid(
      `driver option "${unknown}" is not known`,
      'The local driver has type, o and device',
    )
  const { type = '', o = '', device = '' } = driverOptions
  const words = o.split(',').filter((word) => word !== '')
  const has = (word: string): boolean => words.includes(word)
  const readOnly = has('ro')
  if (BIND_TYPES.has(type) && (has('bind') || has('rbind') || type === 'bind')) {
    if (!device.startsWith('/'))
      throw invalid(
        `device "${device}" is not an absolute path`,
        'Name the directory in "device"; beside "driver: local" and "o: bind" it may be relative to the file',
      )
    return { kind: 'bind', path: device, recursive: has('rbind'), readOnly }
  }
  if (BIND_TYPES.has(type))
    throw invalid(
      'it has no type',
      'Set "type: nfs", "cifs", "tmpfs"; or "type: none" with "o: bind"',
    )
  if (!TYPES.has(type))
    throw new TsstackError(
      'UNIMPLEMENTED',
      `Cannot use volume "${name}": file systems of type "${type}" are not mounted for volumes`,
      { hint: `Mount it on the host, and bind the directory; known are ${[...TYPES].join(', ')}` },
    )
  const source: [string, string][] = device === '' ? [] : [['source', device]]
  const options = words
    .filter((word) => word !== 'ro' && word !== 'noexec' && !MEANINGLESS.has(word))
    .map((word): [string, string | true] => {
      const [key = '', value] = word.split(/=(.*)/s)
      return [key, value ?? true]
    })
  return {
    kind: 'file-system',
    type,
    options: [...source, ...options],
    readOnly,
    noExec: has('noexec'),
  }
}
