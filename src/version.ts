/**
 * What this build is. The daemon answers every request with the header `x-tsstack-version: <VERSION> <API_VERSION>`,
 * so that a client learns of a mismatch without a request of its own.
 */

/** The release, as in package.json (a test holds the two together). */
export const VERSION = '0.1.0'

/** Raised when a client of one version can't talk to a daemon of the other. */
export const API_VERSION = '1'

/** Name of the header; its value is made by `versionHeader()`. */
export const VERSION_HEADER = 'x-tsstack-version'

export function versionHeader(): string {
  return `${VERSION} ${API_VERSION}`
}
