/** `WWW-Authenticate` as registries write it (RFC 9110, section 11.6.1; Distribution's "Token Authentication"). Pure. */

export interface Challenge {
  /** In small letters: `bearer`, `basic`. */
  readonly scheme: string
  readonly parameters: Readonly<Record<string, string>>
}

const PARAMETER = /([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*,?\s*/y
const SCHEME = /\s*([A-Za-z][A-Za-z0-9_-]*)(?:\s+|$)/y

/** All challenges of a header; what makes no sense ends the list. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = []
  for (let at = 0; at < header.length;) {
    SCHEME.lastIndex = at
    const scheme = SCHEME.exec(header)?.[1]
    if (scheme === undefined) break
    at = SCHEME.lastIndex
    const parameters: Record<string, string> = {}
    for (;;) {
      PARAMETER.lastIndex = at
      const match = PARAMETER.exec(header)
      if (match === null) break
      at = PARAMETER.lastIndex
      const [, name = '', quoted, plain] = match
      parameters[name.toLowerCase()] = quoted?.replace(/\\(.)/g, '$1') ?? plain ?? ''
    }
    challenges.push({ scheme: scheme.toLowerCase(), parameters })
  }
  return challenges
}
