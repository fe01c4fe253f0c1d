/** The extended attributes that a layer gets of a container's file. */
import { getXattr, listXattrs } from '../../kernel/file-calls.ts'
import { isLayerXattr } from './layer-entry.ts'

const CAPABILITY = 'security.capability'

/** include/uapi/linux/capability.h: the revision is the uppermost byte of the first word, which is little-endian. */
const REVISION_2 = 2
const REVISION_3 = 3
const REVISION_2_BYTES = 20
const REVISION_3_BYTES = 24

/**
 * Capabilities that were set in a user namespace hold only where the given id is root (revision 3, capabilities(7));
 * in an image they say so of whatever root the container has.
 * @returns undefined if they are meant for somebody else's root
 */
function plainCapability(value: Buffer, owner: number): Buffer | undefined {
  if (value[3] !== REVISION_3 || value.length !== REVISION_3_BYTES) return value
  if (value.readUInt32LE(REVISION_2_BYTES) !== owner) return undefined
  const plain = Buffer.from(value.subarray(0, REVISION_2_BYTES))
  plain[3] = REVISION_2
  return plain
}

/**
 * The attributes of a file, sorted by name.
 * @param at - its path; a symlink is not followed
 * @param owner - the host's id of the root user that the file knows
 */
export function readXattrs(at: string, owner: number): [name: string, value: Buffer][] {
  return listXattrs(at)
    .sort()
    .flatMap((name): [string, Buffer][] => {
      const value = getXattr(at, name)
      if (value === undefined) return []
      const plain = name === CAPABILITY ? plainCapability(value, owner) : value
      return plain === undefined ? [] : [[name, plain]]
    })
}

/** Those of them that belong in a layer. */
export function readLayerXattrs(at: string, owner: number): [name: string, value: Buffer][] {
  return readXattrs(at, owner).filter(([name]) => isLayerXattr(name))
}
