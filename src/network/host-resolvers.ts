/** The host's name servers, read again when its resolv.conf changes. */
import { readFileSync, statSync } from 'node:fs'
import { parseResolvConf, type ResolverSettings } from './resolver-files.ts'

const RECHECK_MS = 2000
const NOTHING: ResolverSettings = { nameServers: [], search: [], options: [] }

/**
 * Gives a function that returns the settings of the host's resolver; it looks at the file at most every 2 s. A file
 * that is not there gives none.
 */
export function watchHostResolvers(path = '/etc/resolv.conf'): () => ResolverSettings {
  let settings = NOTHING
  let version = ''
  let checkedAt = -Infinity
  return () => {
    const now = performance.now()
    if (now - checkedAt < RECHECK_MS) return settings
    checkedAt = now
    try {
      const { ino, mtimeMs, size } = statSync(path)
      const current = `${ino} ${mtimeMs} ${size}`
      if (current !== version) settings = parseResolvConf(readFileSync(path, 'utf8'))
      version = current
    } catch {
      settings = NOTHING
    }
    return settings
  }
}
