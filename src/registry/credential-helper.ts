/**
 * Programs that keep passwords, `docker-credential-NAME`: one word as argument, JSON on both sides
 * (https://github.com/docker/docker-credential-helpers, "Development"). Run as the user, on the client's side.
 */
import { execFile } from 'node:child_process'
import { TsstackError } from '../errors.ts'
import type { Credentials } from './credentials.ts'

const MAX_ANSWER_BYTES = 1 << 20
const TIMEOUT_MS = 60_000
/** What helpers put in place of a name when the secret is a token. */
const TOKEN_USER = '<token>'

interface HelperAnswer {
  readonly stdout: string
  readonly failed: boolean
}

function call(
  helper: string,
  action: 'get' | 'store' | 'erase',
  input: string,
): Promise<HelperAnswer> {
  if (!/^[\w.-]+$/.test(helper)) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot use credential helper "${helper}": not a name`,
    )
  }
  const program = `docker-credential-${helper}`
  const { promise, resolve, reject } = Promise.withResolvers<HelperAnswer>()
  const options = { maxBuffer: MAX_ANSWER_BYTES, timeout: TIMEOUT_MS }
  const child = execFile(program, [action], options, (error, stdout) => {
    if (error?.code === 'ENOENT') {
      const message = `Cannot run credential helper "${program}": it is not installed`
      reject(
        new TsstackError('FAILED_PRECONDITION', message, {
          hint: 'Install it, or remove it from config.json',
        }),
      )
    } else resolve({ stdout, failed: error !== null })
  })
  child.stdin?.on('error', () => undefined) // it may not care to read
  child.stdin?.end(input)
  return promise
}

function failure(helper: string, verb: string, { stdout }: HelperAnswer): TsstackError {
  const reason = stdout.trim().slice(0, 200)
  return new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot ${verb} with docker-credential-${helper}: ${reason === '' ? 'it failed' : reason}`,
  )
}

/** What it has said is told to nobody: a part may be a password. */
function parseAnswer(helper: string, { stdout }: HelperAnswer): Record<string, unknown> {
  try {
    return (JSON.parse(stdout) ?? {}) as Record<string, unknown>
  } catch {
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot get a password with docker-credential-${helper}: its answer is not JSON`,
    )
  }
}

/** @throws {FAILED_PRECONDITION} not installed, or failed otherwise than by having nothing */
export async function getFromHelper(
  helper: string,
  server: string,
): Promise<Credentials | undefined> {
  const answer = await call(helper, 'get', server)
  if (answer.failed) {
    if (/credentials not found|not found in/i.test(answer.stdout)) return undefined
    throw failure(helper, 'get a password', answer)
  }
  const { Username: username, Secret: secret } = parseAnswer(helper, answer)
  if (typeof username !== 'string' || typeof secret !== 'string' || secret === '') return undefined
  return username === TOKEN_USER ? { identityToken: secret } : { username, password: secret }
}

/** @throws {FAILED_PRECONDITION} */
export async function storeInHelper(
  helper: string,
  server: string,
  credentials: Credentials,
): Promise<void> {
  const [username, secret] =
    'identityToken' in credentials
      ? [TOKEN_USER, credentials.identityToken]
      : [credentials.username, credentials.password]
  const input = JSON.stringify({ ServerURL: server, Username: username, Secret: secret })
  const answer = await call(helper, 'store', input)
  if (answer.failed) throw failure(helper, 'store a password', answer)
}

/** Nothing to do if it has none. @throws {FAILED_PRECONDITION} not installed */
export async function eraseFromHelper(helper: string, server: string): Promise<void> {
  await call(helper, 'erase', server)
}
