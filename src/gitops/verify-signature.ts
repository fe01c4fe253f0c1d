/**
 * Signatures of commits and tags, checked by git with keys of the source alone: gpg gets an empty keyring and ssh a file
 * of allowed signers, made from the texts that the source's user gave, so that no other key of the host counts.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { TsstackError } from '../errors.ts'
import { runGit } from '../sources/run-git.ts'
import type { GitAccess } from './git-access.ts'

const OPENPGP = '-----BEGIN PGP PUBLIC KEY BLOCK-----'
const SSH_KEY = /^(?:ssh-|ecdsa-sha2-|sk-)/

export interface Verification {
  readonly keys: readonly string[]
  readonly access: GitAccess
  /** A directory to make the keyring in; 0700. */
  readonly scratch: string
}

/**
 * Checks what was fetched into a repository: the tag, where a tag was asked for, and otherwise the commit.
 * @param directory - of the repository, with FETCH_HEAD
 * @throws {PERMISSION_DENIED} it has no signature, a bad one, or one of somebody else; {INVALID_ARGUMENT} unreadable keys
 */
export async function verifySignature(
  directory: string,
  { keys, access, scratch }: Verification,
): Promise<void> {
  const home = mkdtempSync(join(scratch, 'keys-'))
  try {
    const signers = await makeKeyring(home, keys)
    const env = { ...access.env, GNUPGHOME: join(home, 'gnupg') }
    const settings = [
      ...(access.options.settings ?? []),
      `gpg.ssh.allowedSignersFile=${signers}`,
      'gpg.x509.program=/bin/false',
      'gpg.minTrustLevel=undefined',
    ]
    const git = (...words: string[]): Promise<string> =>
      runGit(['-C', directory, ...words], access.reference, env, { ...access.options, settings })
    const kind = (await git('cat-file', '-t', 'FETCH_HEAD')).trim()
    if (kind === 'tag') await requireTagName(git, access)
    await git(kind === 'tag' ? 'verify-tag' : 'verify-commit', 'FETCH_HEAD').catch(
      (error: unknown) => {
        throw refused(kind, error)
      },
    )
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

/** A signed tag that is served under another name would make an old release look like a new one. */
async function requireTagName(
  git: (...words: string[]) => Promise<string>,
  { reference }: GitAccess,
): Promise<void> {
  const text = await git('cat-file', 'tag', 'FETCH_HEAD')
  const name = /^tag (.*)$/m.exec(text)?.[1]
  if (name === reference.ref?.replace(/^refs\/tags\//, '')) return
  throw new TsstackError(
    'PERMISSION_DENIED',
    `Cannot accept tag "${reference.ref ?? ''}": it was signed as "${name ?? ''}"`,
  )
}

function refused(kind: string, cause: unknown): TsstackError {
  return new TsstackError(
    'PERMISSION_DENIED',
    `Cannot accept the ${kind}: it has no good signature by a key of this source`,
    { cause, hint: `Sign it with a key that was given by --verify-key (git ${kind} -S)` },
  )
}

/** @returns the file of SSH's allowed signers */
async function makeKeyring(home: string, keys: readonly string[]): Promise<string> {
  const gnupg = join(home, 'gnupg')
  mkdirSync(gnupg, { mode: 0o700 })
  writeFileSync(join(gnupg, 'gpg.conf'), 'batch\nno-autostart\nno-auto-key-retrieve\n')
  const signers: string[] = []
  for (const [index, text] of keys.entries()) {
    if (text.includes(OPENPGP)) {
      const file = join(home, `${String(index)}.asc`)
      writeFileSync(file, text)
      await importKey(gnupg, file)
    } else signers.push(...allowedSigners(text))
  }
  const file = join(home, 'allowed-signers')
  writeFileSync(file, signers.map((line) => `${line}\n`).join(''))
  return file
}

/**
 * Lines of an allowed signers file (man 1 ssh-keygen): those that are already, and plain public keys as signers of git.
 * @throws {INVALID_ARGUMENT} neither OpenPGP nor SSH
 */
export function allowedSigners(text: string): string[] {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
  const signers = lines.map((line) => (SSH_KEY.test(line) ? `* namespaces="git" ${line}` : line))
  if (signers.length > 0 && signers.every((line) => /\s(?:ssh-|ecdsa-sha2-|sk-)/.test(line)))
    return signers
  throw new TsstackError('INVALID_ARGUMENT', 'Cannot read the key: it is neither OpenPGP nor SSH', {
    hint: 'Give a file of "gpg --export --armor", a public key of SSH, or an allowed signers file',
  })
}

function importKey(gnupg: string, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const env = { PATH: process.env['PATH'], GNUPGHOME: gnupg, LC_ALL: 'C' }
    const child = spawn('gpg', ['--batch', '--quiet', '--import', '--', file], {
      env,
      stdio: 'ignore',
      timeout: 60_000,
    })
    child.on('error', (error) => {
      reject(new TsstackError('FAILED_PRECONDITION', `Cannot run gpg: ${error.message}`))
    })
    child.on('close', (code) => {
      if (code === 0) resolve()
      else reject(new TsstackError('INVALID_ARGUMENT', 'Cannot import the OpenPGP key'))
    })
  })
}
