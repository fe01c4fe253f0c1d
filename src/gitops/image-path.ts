/** Which files of the host an image reference reads (see engine/images/reference.ts). Pure. */
import { resolve } from 'node:path'

const LOCAL = /^(dir|oci|oci-archive|docker-archive):(.*)$/s

/**
 * The absolute paths that a reference names; none for an image of a registry, and for programs and packages of a `host:`
 * image, which anybody may read.
 * @param base - where relative ones start
 */
export function imagePathOf(reference: string, base: string): string[] {
  if (reference.startsWith('host:'))
    return reference
      .slice('host:'.length)
      .split(',')
      .map((word) => word.trim())
      .filter((word) => word.startsWith('/'))
  const [, transport, rest = ''] = LOCAL.exec(reference) ?? []
  if (transport === undefined) return []
  const path = transport === 'dir' ? rest : (rest.split(':', 1)[0] ?? '')
  return [resolve(base, path)]
}
