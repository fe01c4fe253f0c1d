/** Decrypts by age(1), the program. */
import { spawn } from 'node:child_process'
import { TsstackError } from '../errors.ts'

const TIMEOUT_MS = 15_000
const MAX_PLAIN_BYTES = 16 << 20
const MAX_SAID = 500

/**
 * @param identityFile - of the host, absolute
 * @throws {FAILED_PRECONDITION} no age on the PATH; {PERMISSION_DENIED} it is not for this identity; {UNAVAILABLE} too slow
 */
export function decryptByAge(bytes: Uint8Array, identityFile: string): Promise<Buffer> {
  const child = spawn('age', ['--decrypt', '--identity', identityFile], {
    env: { PATH: process.env['PATH'] },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const plain: Buffer[] = []
  let [size, said] = [0, '']
  let refusal: TsstackError | undefined
  const end = (state: string): void => {
    refusal ??= new TsstackError('UNAVAILABLE', `Cannot decrypt: ${state}`)
    child.kill('SIGKILL')
  }
  const timer = setTimeout(() => {
    end(`age took longer than ${String(TIMEOUT_MS / 1000)} s`)
  }, TIMEOUT_MS)
  child.stdout.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > MAX_PLAIN_BYTES) end('it is too large')
    else plain.push(chunk)
  })
  child.stderr.on('data', (chunk: Buffer) => {
    if (said.length < MAX_SAID) said += chunk.toString()
  })
  // It may end before it has read all.
  child.stdin.on('error', () => undefined).end(bytes)
  return new Promise((resolve, reject) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      reject(error.code === 'ENOENT' ? noAge() : error)
    })
    child.on('close', (code) => {
      clearTimeout(timer)
      if (refusal !== undefined) reject(refusal)
      else if (code === 0) resolve(Buffer.concat(plain))
      else reject(notForUs(said))
    })
  })
}

function noAge(): TsstackError {
  return new TsstackError('FAILED_PRECONDITION', 'there is no age on the PATH', {
    hint: 'Install it (Debian: apt-get install age)',
  })
}

function notForUs(said: string): TsstackError {
  const line = said.split('\n', 1)[0]?.replace(/^age: error: /, '') ?? ''
  return new TsstackError('PERMISSION_DENIED', `Cannot decrypt: ${line.slice(0, MAX_SAID)}`)
}
