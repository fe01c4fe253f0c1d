/**
 * Archives that Node can't unpack, by the programs that made them: xz(1) and bzip2(1). They are fed hostile bytes, so each is
 * nobody, gains no privileges, has bounded memory, and is killed with whoever reads from it.
 */
import { spawn } from 'node:child_process'
import { pipeline, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { TsstackError } from '../errors.ts'

const NOBODY = 65_534
/** What `xz -9` needs is 65 MiB; of `ulimit -v`, in KiB. */
const MEMORY_KIB = 256 << 10
const NO_PROGRAM = 127
const MAX_SHOWN = 200

interface Packing {
  readonly program: 'xz' | 'bzip2'
  /** Its first bytes, in hexadecimal. */
  readonly magic: string
  readonly flags: readonly string[]
}

const PACKINGS: readonly Packing[] = [
  // More threads take more memory than there is.
  { program: 'xz', magic: 'fd377a585a00', flags: ['-d', '-c', '-q', '-T1'] },
  { program: 'bzip2', magic: '425a68', flags: ['-d', '-c', '-q'] },
]

/** setpriv (util-linux) has the kernel kill it with the daemon; without it it ends when nobody writes to it any more. */
const LAUNCH = [
  `ulimit -v ${MEMORY_KIB}`,
  'command -v "$0" >/dev/null || exit 127',
  'if command -v setpriv >/dev/null; then exec setpriv --pdeathsig KILL --no-new-privs "$0" "$@"; fi',
  'exec "$0" "$@"',
].join('\n')

/** How what begins so is packed; undefined: in no way that needs a program. */
export function packingOf(head: Buffer): Packing | undefined {
  const hex = head.toString('hex')
  return PACKINGS.find(({ magic }) => hex.startsWith(magic))
}

/** @throws {INVALID_ARGUMENT} damaged or truncated; {FAILED_PRECONDITION} there is no such program */
export async function* unpackWith(
  { program, flags }: Packing,
  packed: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  const child = spawn('/bin/sh', ['-c', LAUNCH, program, ...flags], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
    cwd: '/',
    ...(process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}),
  })
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      resolve(code ?? -1)
    })
  })
  ended.catch(() => undefined) // it is waited for below
  const said = text(child.stderr)
  let fault: unknown
  pipeline(Readable.from(packed, { objectMode: true, highWaterMark: 4 }), child.stdin, (error) => {
    // A program that has seen enough closes its end.
    if (error?.code !== 'EPIPE' && error?.code !== 'ERR_STREAM_PREMATURE_CLOSE') fault = error
  })
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer
    const code = await ended
    if (fault instanceof Error) throw fault
    if (code === 0) return
    if (code === NO_PROGRAM)
      throw new TsstackError('FAILED_PRECONDITION', `there is no ${program} to unpack it with`, {
        hint: `Install it (Debian: apt-get install ${program === 'xz' ? 'xz-utils' : program})`,
      })
    throw new TsstackError('INVALID_ARGUMENT', `${program}: ${(await said).slice(0, MAX_SHOWN)}`)
  } finally {
    child.kill('SIGKILL')
  }
}
