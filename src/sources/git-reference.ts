/** `URL#ref:directory`, as Docker writes git repositories. Pure. */
import { TsstackError } from '../errors.ts'

export interface GitReference {
  /** As `git` takes it. */
  readonly url: string
  /** The transport: the only one that git may use for it. */
  readonly protocol: 'https' | 'http' | 'git' | 'ssh' | 'file'
  /** A branch, a tag or a commit; the repository's HEAD when absent. */
  readonly ref?: string
  /** Within the repository: a directory or a stack file. */
  readonly path?: string
  /** The last part of the URL, without `.git`. */
  readonly name: string
}

const MAX_LENGTH = 2000
/** What git-check-ref-format(1) lets through, and nothing that could be an option or a range. */
export const REF_NAME = /^(?![-./])(?!.*(?:\.\.|@\{|\/\/|\/\.|\.lock$))[\w./+@=-]+$/
const SCP = /^[\w.-]+@([A-Za-z0-9][\w.-]*):(?!\/\/|-)(.+)$/
const URL_FORM = /^(https?|git|ssh|file):\/\/(.*)$/

/**
 * @throws {INVALID_ARGUMENT} when it is no reference to a git repository, names an option, leaves the repository, or would
 *   be fetched in the clear from another machine
 */
export function parseGitReference(text: string): GitReference {
  const refuse = (state: string, hint?: string): TsstackError =>
    new TsstackError('INVALID_ARGUMENT', state, hint === undefined ? {} : { hint })
  if (text.length > MAX_LENGTH) throw refuse('it is too long to be a reference')
  // eslint-disable-next-line no-control-regex -- that is what is looked for
  if (/[\u0000-\u0020\u007f]/.test(text)) throw refuse('it has blanks or control characters')
  const hash = text.indexOf('#')
  const place = hash === -1 ? text : text.slice(0, hash)
  const [ref = '', ...rest] = hash === -1 ? [] : text.slice(hash + 1).split(':')
  const path = rest.join(':')
  if (ref !== '' && !REF_NAME.test(ref))
    throw refuse(`"${ref}" is no branch, tag or commit`, 'write it after #, as in …#main:directory')
  const parts = path.split('/')
  if (
    path.startsWith('/') ||
    path.startsWith('-') ||
    parts.includes('..') ||
    parts.includes('.git')
  )
    throw refuse(`"${path}" is no path within the repository`, 'write it relative to its root')
  return {
    ...locationOf(place, refuse),
    ...(ref === '' ? {} : { ref }),
    ...(path === '' ? {} : { path }),
  }
}

function locationOf(
  place: string,
  refuse: (state: string, hint?: string) => TsstackError,
): Pick<GitReference, 'url' | 'protocol' | 'name'> {
  const name =
    /([^/:]+?)(?:\.git)?\/*$/
      .exec(place)?.[1]
      ?.replace(/[^\w.-]/g, '-')
      .replace(/^[-.]+/, '') ?? ''
  const named = { name: name === '' ? 'repository' : name }
  if (place.startsWith('github.com/')) {
    return { ...named, url: `https://${place}`, protocol: 'https' }
  }
  if (SCP.test(place)) return { ...named, url: place, protocol: 'ssh' }
  const match = URL_FORM.exec(place)
  const protocol = match?.[1] as GitReference['protocol'] | undefined
  const rest = match?.[2] ?? ''
  if (protocol === undefined || rest === '' || rest.startsWith('-') || rest.includes('@-'))
    throw refuse('it is no reference to a git repository', 'write https://host/repository.git')
  if ((protocol === 'https' || protocol === 'http') && !/\.git\/?$/.test(rest))
    throw refuse('its path does not end in .git', `write ${place.replace(/\/+$/, '')}.git`)
  if (protocol === 'http' && !/^(?:localhost|127(?:\.\d+){3}|\[::1\])[:/]/.test(rest))
    throw refuse('anybody on the way could change what comes by http', 'write https://')
  return { ...named, url: place, protocol }
}
