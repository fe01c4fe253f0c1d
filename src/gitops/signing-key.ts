/** What git is told so that it signs a commit with one private key, whatever keys the host has. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { TsstackError } from '../errors.ts'
import type { Environment } from '../sources/run-git.ts'

const run = promisify(execFile)
const OPENPGP = '-----BEGIN PGP PRIVATE KEY BLOCK-----'
const TIMEOUT_MS = 60_000

export interface SigningKey {
  /** As `runGit` takes them. */
  readonly settings: readonly string[]
  readonly env: Environment
  /** Ends what holds the key. */
  close(): Promise<void>
}

/**
 * @param file - a private key of SSH or an armoured one of OpenPGP, without passphrase
 * @param scratch - a directory to make the keyring in; 0700
 * @throws {NOT_FOUND} {INVALID_ARGUMENT} no such key {FAILED_PRECONDITION} no gpg
 */
export async function openSigningKey(file: string, scratch: string): Promise<SigningKey> {
  if (!readKey(file).includes(OPENPGP))
    return {
      settings: ['gpg.format=ssh', `user.signingKey=${file}`],
      env: {},
      close: () => Promise.resolve(),
    }
  const home = mkdtempSync(join(scratch, 'sign-'))
  const gnupg = join(home, 'gnupg')
  mkdirSync(gnupg, { mode: 0o700 })
  // A question would never be answered.
  writeFileSync(join(gnupg, 'gpg.conf'), 'batch\nno-tty\npinentry-mode error\n')
  const env = { PATH: process.env['PATH'] ?? '', GNUPGHOME: gnupg, LC_ALL: 'C' }
  const close = async (): Promise<void> => {
    await run('gpgconf', ['--kill', 'all'], { env, timeout: TIMEOUT_MS }).catch(() => undefined)
    await rm(home, { recursive: true, force: true })
  }
  try {
    const key = await importKey(file, env)
    return {
      settings: ['gpg.format=openpgp', `user.signingKey=${key}`],
      env: { GNUPGHOME: gnupg },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function readKey(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new TsstackError('NOT_FOUND', `Cannot read signing key "${file}"`, { cause: error })
  }
}

/** @returns its fingerprint */
async function importKey(file: string, env: Environment): Promise<string> {
  const gpg = (...words: string[]): Promise<{ readonly stdout: string }> =>
    run('gpg', ['--batch', '--quiet', ...words], { env, timeout: TIMEOUT_MS })
  try {
    await gpg('--import', '--', file)
    const { stdout } = await gpg('--list-secret-keys', '--with-colons')
    const fingerprint = /^fpr:(?:[^:]*:){8}([0-9A-F]{40,64}):/m.exec(stdout)?.[1]
    if (fingerprint !== undefined) return fingerprint
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new TsstackError('FAILED_PRECONDITION', 'Cannot sign: there is no gpg on the PATH')
    throw unreadable(file, error)
  }
  throw unreadable(file, undefined)
}

function unreadable(file: string, cause: unknown): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', `Cannot use signing key "${file}"`, {
    cause,
    hint: 'Give what gpg --export-secret-keys --armor prints, of a key without passphrase',
  })
}
