/** How a source's repository is reached: its reference, and what git is told so that it needs no prompt. */
import { readFileSync } from 'node:fs'
import type { GitSource, ImageUpdates } from '../api/gitops-types.ts'
import { TsstackError } from '../errors.ts'
import { parseGitReference, type GitReference } from '../sources/git-reference.ts'
import type { Environment, GitOptions } from '../sources/run-git.ts'

export interface GitAccess {
  readonly reference: GitReference
  readonly env: Environment
  readonly options: GitOptions
}

/** What git needs of the daemon's own environment: where programs are, and the settings of its user. */
const INHERITED = ['PATH', 'HOME', 'http_proxy', 'https_proxy', 'no_proxy', 'SSL_CERT_FILE']

/**
 * @throws {INVALID_ARGUMENT} no reference to a repository, or a password that would go out in the clear
 * @throws {NOT_FOUND} the password's file
 */
export function gitAccess(source: GitSource): GitAccess {
  const { repo, ref } = source
  const reference = parseGitReference(ref === undefined ? repo : `${repo}#${ref}`)
  refuseClear(source, reference)
  const timeoutMs = source.fetchTimeoutSeconds * 1000
  // A header goes wherever the server points to: with a password in it, nowhere else.
  const redirects = source.passwordFile === undefined ? 'initial' : 'false'
  const settings = [...passwordSettings(source, reference), `http.followRedirects=${redirects}`]
  return {
    reference,
    env: { ...inherited(), ...sshEnvironment(source) },
    options: { settings, timeoutMs },
  }
}

/** Anybody on the way could change what comes by `git:`, unless commits are signed. @throws {INVALID_ARGUMENT} */
function refuseClear({ verifyKeys }: GitSource, { protocol, url }: GitReference): void {
  if (protocol !== 'git' || verifyKeys.length > 0) return
  if (/^git:\/\/(?:localhost|127(?:\.\d+){3}|\[::1\])[:/]/.test(url)) return
  throw new TsstackError('INVALID_ARGUMENT', `Cannot follow "${url}": it comes in the clear`, {
    hint: 'Use https or ssh, or have its commits signed, and give --verify-key',
  })
}

/**
 * How it is written to: as it is read, unless something else is said of it.
 * @throws as `gitAccess`
 */
export function pushAccess(source: GitSource, updates: ImageUpdates): GitAccess {
  const { repo, sshKeyFile, passwordFile } = updates
  if ([repo, sshKeyFile, passwordFile].every((given) => given === undefined))
    return gitAccess(source)
  const { sshKeyFile: _, passwordFile: __, ...rest } = source
  return gitAccess({
    ...rest,
    repo: repo ?? source.repo,
    ...(sshKeyFile === undefined ? {} : { sshKeyFile }),
    ...(passwordFile === undefined ? {} : { passwordFile }),
  })
}

function inherited(): Environment {
  return Object.fromEntries(
    INHERITED.flatMap((name) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
}

/** Keys of hosts are never learnt by themselves: whoever answers first would be trusted for good. */
function sshEnvironment({ sshKeyFile, knownHostsFile }: GitSource): Environment {
  const words = [
    ...['ssh', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes', '-o', 'ConnectTimeout=30'],
    ...(sshKeyFile === undefined ? [] : ['-i', sshKeyFile, '-o', 'IdentitiesOnly=yes']),
    ...(knownHostsFile === undefined ? [] : ['-o', `UserKnownHostsFile=${knownHostsFile}`]),
  ]
  return { GIT_SSH_COMMAND: words.map(quoted).join(' ') }
}

/** For the shell that git gives the command to. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`
}

/** `user:password`, or a token, which stands for the password of any user. */
function passwordSettings({ passwordFile }: GitSource, { url, protocol }: GitReference): string[] {
  if (passwordFile === undefined) return []
  if (protocol !== 'https' && protocol !== 'http')
    throw new TsstackError('INVALID_ARGUMENT', `Cannot use a password with "${protocol}:"`, {
      hint: 'It is for https; ssh takes --ssh-key',
    })
  const text = readPassword(passwordFile)
  const pair = text.includes(':') ? text : `git:${text}`
  const { origin } = new URL(url)
  const header = `Authorization: Basic ${Buffer.from(pair).toString('base64')}`
  return [`http.${origin}/.extraHeader=${header}`]
}

function readPassword(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw new TsstackError('NOT_FOUND', `Cannot read password file "${file}"`, { cause: error })
  }
}
