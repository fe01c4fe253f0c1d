/**
 * ADD of a git repository: `https://host/repository.git#ref:directory`. Git runs in the daemon, so it is told which address
 * to connect to, has nothing of the daemon's user (no credentials, no settings) and reaches no file of this host.
 */
import { chmod, lstat, lutimes, readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { TsstackError, toTsstackError } from '../errors.ts'
import { COMMIT, fetchCommit, findRevision } from '../sources/git-checkout.ts'
import { parseGitReference, type GitReference } from '../sources/git-reference.ts'
import type { Environment, GitOptions } from '../sources/run-git.ts'
import { withoutLogin } from '../spec/without-login.ts'
import type { Added, FetchOptions } from './added.ts'
import type { BuildInput } from './build-input.ts'
import { allowedAddress } from '../registry/remote-address.ts'

export interface GitFetchOptions extends FetchOptions {
  readonly input: Pick<BuildInput, 'secrets' | 'ssh'>
}

/** As git itself: programs can be run by all, and nobody but root writes. */
const [DIRECTORY_MODE, PROGRAM_MODE, FILE_MODE] = [0o755, 0o755, 0o644]
const MIN_CHECKSUM = 7
const DEFAULT_PORTS: Readonly<Record<string, string>> = { https: '443', http: '80' }

/** Of the words that name nothing of the context, those that name no file (Dockerfile reference, "ADD"). */
export function isGitRepository(word: string): boolean {
  return !/^https?:\/\//.test(word) || /^[^#?]*\.git\/?(?:#.*)?$/.test(word)
}

interface Access {
  readonly reference: GitReference
  readonly env: Environment
  readonly options: GitOptions
}

function partsOf({ url }: GitReference): { readonly host: string; readonly port: string } {
  const [, scpHost] = /^[^@/]+@([^:/]+):(?!\/\/)/.exec(url) ?? []
  if (scpHost !== undefined) return { host: scpHost, port: '' }
  const { hostname, port } = new URL(url)
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port }
}

/** What git needs of the daemon's environment, and a home where nothing is. */
function plainEnvironment(): Environment {
  const certificates = process.env['SSL_CERT_FILE']
  return {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOME: '/nonexistent',
    ...{ GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' },
    ...(certificates === undefined ? {} : { SSL_CERT_FILE: certificates }),
  }
}

/** Secrets that BuildKit takes for repositories, too: GIT_AUTH_TOKEN and GIT_AUTH_HEADER, for all hosts or `.HOST`. */
function loginSettings(
  { url }: GitReference,
  host: string,
  secrets: BuildInput['secrets'],
): string[] {
  const secret = (name: string): string | undefined => {
    const content = secrets[`${name}.${host}`] ?? secrets[name]
    return content === undefined ? undefined : Buffer.from(content).toString().trim()
  }
  const token = secret('GIT_AUTH_TOKEN')
  const basic =
    token === undefined
      ? undefined
      : `basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`
  const header = secret('GIT_AUTH_HEADER') ?? basic
  return header === undefined
    ? []
    : [`http.${new URL(url).origin}/.extraHeader=Authorization: ${header}`]
}

function sshEnvironment(address: string, host: string, ssh: BuildInput['ssh']): Environment {
  const agent = ssh['default']
  if (agent === undefined)
    throw new TsstackError('FAILED_PRECONDITION', 'it needs an ssh agent', {
      hint: 'Give the build one: "build.ssh: [default]"',
    })
  const words = [
    ...['ssh', '-F', 'none', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes'],
    // Those of the daemon's user are not for builds.
    ...['-o', 'IdentityFile=none', '-o', 'PreferredAuthentications=publickey'],
    ...['-o', 'ConnectTimeout=30', '-o', `HostName=${address}`, '-o', `HostKeyAlias=${host}`],
  ]
  return { SSH_AUTH_SOCK: agent, GIT_SSH_COMMAND: words.join(' ') }
}

/** @throws {PERMISSION_DENIED} an address that is not for builds */
async function accessTo(
  reference: GitReference,
  { input, reachesHost, signal }: GitFetchOptions,
): Promise<Access> {
  const { protocol, url } = reference
  if (protocol === 'file')
    throw new TsstackError('PERMISSION_DENIED', 'repositories of this host are not for builds')
  const { host, port } = partsOf(reference)
  if (!/^[\w.:-]+$/.test(host)) throw new TsstackError('INVALID_ARGUMENT', 'its host is no name')
  const address = await allowedAddress(host, reachesHost)
  const env = plainEnvironment()
  if (protocol === 'ssh')
    return {
      ...{ reference, env: { ...env, ...sshEnvironment(address, host, input.ssh) } },
      options: { signal },
    }
  const shown = address.includes(':') ? `[${address}]` : address
  if (protocol === 'git') {
    const pinned = url.replace(/^git:\/\/[^/]*/, `git://${shown}${port === '' ? '' : `:${port}`}`)
    return { reference: { ...reference, url: pinned }, env, options: { signal } }
  }
  const at = `${host}:${port === '' ? (DEFAULT_PORTS[protocol] ?? '') : port}`
  const settings = [
    'http.followRedirects=false',
    ...(address === host ? [] : [`http.curloptResolve=${at}:${shown}`]),
    ...loginSettings(reference, host, input.secrets),
  ]
  return { reference, env, options: { settings, signal } }
}

/** Modes are those of git, whatever the umask is; times are the commit's, so that the same commit makes the same layer. */
async function settleFiles(directory: string, seconds: number): Promise<void> {
  for (const name of await readdir(directory)) {
    const file = path.join(directory, name)
    const stats = await lstat(file)
    if (stats.isDirectory()) {
      await chmod(file, DIRECTORY_MODE)
      await settleFiles(file, seconds)
    } else if (stats.isFile())
      await chmod(file, (stats.mode & 0o100) === 0 ? FILE_MODE : PROGRAM_MODE)
    await lutimes(file, seconds, seconds)
  }
}

function explained(word: string, error: unknown): TsstackError {
  const { code, message, hint } = toTsstackError(error)
  return new TsstackError(code, `can't add "${withoutLogin(word)}": ${message}`, {
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  })
}

/** A prefix is enough, as people write commits. */
function checkCommit(commit: string, checksum: string | undefined): void {
  if (checksum === undefined || commit.startsWith(checksum)) return
  throw new TsstackError('FAILED_PRECONDITION', `its commit is "${commit}", not "${checksum}"`, {
    hint: 'Is it the commit that you meant?',
  })
}

function checkChecksum(checksum: string | undefined): void {
  if (checksum === undefined || (/^[0-9a-f]+$/.test(checksum) && checksum.length >= MIN_CHECKSUM))
    return
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `"--checksum=${checksum}" is no commit: ${MIN_CHECKSUM} to 64 hexadecimal digits`,
  )
}

async function bring(
  commit: string,
  access: Access,
  { directory, keepGitDir }: Pick<FetchOptions, 'keepGitDir'> & { readonly directory: string },
): Promise<void> {
  const { seconds } = await fetchCommit({ commit, wanted: commit }, { ...access, directory })
  const git = path.join(directory, '.git')
  if (keepGitDir)
    await rm(path.join(git, 'FETCH_HEAD'), { force: true }) // it says where from
  else await rm(git, { recursive: true, force: true })
  await settleFiles(directory, seconds)
}

/**
 * A commit that is named in full is asked of nobody while the cache has it.
 * @param directory - empty, and the caller's to remove
 * @throws {UNAVAILABLE} what git said; {NOT_FOUND} no such ref; {PERMISSION_DENIED} an address that is not for builds
 */
export async function addGit(
  word: string,
  directory: string,
  options: GitFetchOptions,
): Promise<Added> {
  const { checksum, keepGitDir } = options
  try {
    checkChecksum(checksum)
    const reference = parseGitReference(word)
    const access = await accessTo(reference, options)
    const named = [checksum, reference.ref].find((each) => each !== undefined && COMMIT.test(each))
    const commit = named ?? (await findRevision(reference, access.env, access.options)).commit
    checkCommit(commit, checksum)
    return {
      identity: JSON.stringify(['git', reference.url, reference.path ?? '', commit, keepGitDir]),
      directory,
      path: reference.path ?? '',
      isGit: true,
      fetch: () =>
        bring(commit, access, { directory, keepGitDir }).catch((error: unknown) => {
          throw explained(word, error)
        }),
    }
  } catch (error) {
    throw explained(word, error)
  }
}
