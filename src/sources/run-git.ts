/**
 * Runs `git`, which is somebody else's program fed by somebody else's server: no prompts, one transport, no hooks, no
 * submodules, none of the caller's repository. It has a session of its own, so no terminal, ends with who started it, and is
 * killed with its helpers (`git-remote-https`, `ssh`, `index-pack`) when its time is over.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { TsstackError } from '../errors.ts'
import type { GitReference } from './git-reference.ts'
import { withoutLogin } from '../spec/without-login.ts'

const TIMEOUT_MS = 600_000
const MAX_OUTPUT = 8 << 20
const MAX_SHOWN = 2000
/** Of one file that git writes, such as the pack that it fetches. */
const MAX_FILE_BYTES = 1 << 30
/** Address space of git and of each of its helpers: a pack is mapped as a whole, and servers name references without end. */
const MAX_MEMORY_BYTES = 4 * 2 ** 30
/** Of `ulimit -v`. */
const KIBIBYTE = 1024
/** Of `ulimit -f` (POSIX). */
const BLOCK_BYTES = 512
const NO_PROGRAM = 127

/**
 * `$0`: the size of files in blocks, `$1`: memory in KiB, the rest is for git. When the host's memory runs out all the same, git goes
 * first (man 5 proc, oom_score_adj). `setpriv` (util-linux) has the kernel kill git when its parent dies
 * (PR_SET_PDEATHSIG, man 2 prctl), even by SIGKILL; without it git goes on to its end, and nobody takes what it brought.
 */
const LAUNCH = [
  'ulimit -f "$0" && ulimit -v "$1" && shift || exit 1',
  '{ echo 900 >/proc/self/oom_score_adj; } 2>/dev/null',
  'command -v git >/dev/null || exit 127',
  'if command -v setpriv >/dev/null; then exec setpriv --pdeathsig KILL git "$@"; fi',
  'exec git "$@"',
].join('\n')

/** Of an outer git, such as in a hook: they would lead to another repository. */
const OUTER =
  /^GIT_(?:DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|COMMON_DIR|NAMESPACE|CONFIG.*|TEMPLATE_DIR|EXTERNAL_DIFF|PROXY_COMMAND)$/

export type Environment = Readonly<Record<string, string>>

export interface GitOptions {
  /** More settings, `name=value`: in the environment, where `ps` does not show them. */
  readonly settings?: readonly string[]
  /** Absent: ten minutes. */
  readonly timeoutMs?: number
  /** Absent: a gibibyte. */
  readonly maxFileBytes?: number
  /** Of address space, each process. Absent: four gibibytes. */
  readonly maxMemoryBytes?: number
  /** Its standard input. */
  readonly input?: string
  /** Ends it. */
  readonly signal?: AbortSignal
}

/** Settings as git takes them from its environment (man 1 git-config, GIT_CONFIG_COUNT). */
function environmentOfSettings(settings: readonly string[]): Environment {
  const pairs = settings.map((setting) => /^([^=]*)=(.*)$/s.exec(setting) ?? [])
  const variables = pairs.flatMap(([, name = '', value = ''], index) => [
    [`GIT_CONFIG_KEY_${String(index)}`, name],
    [`GIT_CONFIG_VALUE_${String(index)}`, value],
  ])
  const named: Environment = Object.fromEntries(variables) as Environment
  return { GIT_CONFIG_COUNT: String(settings.length), ...named }
}

/** The environment of git: the caller's, with nothing that asks or leads elsewhere. */
function environmentOf(env: Environment, { protocol }: GitReference): Environment {
  const kept = Object.entries(env).filter(([name]) => !OUTER.test(name))
  const ssh = 'GIT_SSH' in env || 'GIT_SSH_COMMAND' in env
  // Whatever TLS library its libcurl has: that of Debian reads no SSL_CERT_FILE.
  const authorities = env['GIT_SSL_CAINFO'] ?? env['SSL_CERT_FILE']
  return {
    ...Object.fromEntries(kept),
    ...(ssh ? {} : { GIT_SSH_COMMAND: 'ssh -o BatchMode=yes' }),
    ...(authorities === undefined ? {} : { GIT_SSL_CAINFO: authorities }),
    GIT_TERMINAL_PROMPT: '0',
    // It would take precedence over the settings of protocols.
    GIT_ALLOW_PROTOCOL: protocol,
    GIT_LFS_SKIP_SMUDGE: '1',
    LC_ALL: 'C',
  }
}

function settingsFor({ protocol }: GitReference): string[] {
  return [
    'protocol.allow=never',
    'protocol.ext.allow=never',
    `protocol.${protocol}.allow=always`,
    'core.hooksPath=/dev/null',
    'core.fsmonitor=false',
    'core.protectHFS=true',
    'core.protectNTFS=true',
    'submodule.recurse=false',
    // One pack: its size is that of one file, which is limited.
    'fetch.unpackLimit=1',
    // Each thread takes address space, however many processors there are.
    'pack.threads=4',
    // A helper that nobody reads from any more ends with the next byte, or now.
    'http.lowSpeedLimit=1',
    'http.lowSpeedTime=60',
    'gc.auto=0',
    'maintenance.auto=false',
    'fetch.recurseSubmodules=false',
    'advice.detachedHead=false',
    'init.defaultBranch=main',
  ].flatMap((setting) => ['-c', setting])
}

/**
 * @returns its standard output
 * @throws {FAILED_PRECONDITION} when there is no git; {UNAVAILABLE} with what git said
 */
export async function runGit(
  words: readonly string[],
  reference: GitReference,
  env: Environment,
  options: GitOptions = {},
): Promise<string> {
  const { settings = [], timeoutMs = TIMEOUT_MS, maxFileBytes = MAX_FILE_BYTES } = options
  const limits = [
    String(Math.ceil(maxFileBytes / BLOCK_BYTES)),
    String(Math.ceil((options.maxMemoryBytes ?? MAX_MEMORY_BYTES) / KIBIBYTE)),
  ]
  const child = spawn('/bin/sh', ['-c', LAUNCH, ...limits, ...settingsFor(reference), ...words], {
    env: { ...environmentOf(env, reference), ...environmentOfSettings(settings) },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  })
  // It may end before it has read all.
  child.stdin.on('error', () => undefined).end(options.input ?? '')
  const ended = await endOf(child, timeoutMs, options.signal)
  if (ended.code === 0) return ended.stdout
  if (ended.code === NO_PROGRAM)
    throw new TsstackError('FAILED_PRECONDITION', 'there is no git on the PATH', {
      hint: 'install it (Debian: apt-get install git)',
    })
  throw new TsstackError('UNAVAILABLE', ended.refusal ?? toldBy(ended.stderr, ended.code, options))
}

type Git = ChildProcessByStdio<Writable, Readable, Readable>

interface Ended {
  readonly code: number | string
  readonly stdout: string
  readonly stderr: string
  /** Why it was killed. */
  readonly refusal: string | undefined
}

function endOf(child: Git, timeoutMs: number, signal?: AbortSignal): Promise<Ended> {
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []]
  let size = 0
  let refusal: string | undefined
  const end = (reason: string): void => {
    refusal ??= reason
    killGroup(child)
  }
  for (const [stream, chunks] of [
    [child.stdout, stdout],
    [child.stderr, stderr],
  ] as const) {
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > MAX_OUTPUT) end('git: it answers with more than can be taken')
      else chunks.push(chunk)
    })
  }
  const timer = setTimeout(() => {
    end(`git: it took longer than ${String(timeoutMs / 1000)} s`)
  }, timeoutMs)
  const cancel = (): void => {
    end('git: it was cancelled')
  }
  signal?.addEventListener('abort', cancel)
  if (signal?.aborted === true) cancel()
  const settle = (): void => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', cancel)
  }
  return new Promise((resolve, reject) => {
    child.on('error', (error) => {
      settle()
      reject(new TsstackError('UNAVAILABLE', `git: ${error.message}`))
    })
    child.on('close', (exitCode, endedBy) => {
      settle()
      const text = (chunks: Buffer[]): string => Buffer.concat(chunks).toString()
      const code = exitCode ?? endedBy ?? 'unknown'
      resolve({ code, stdout: text(stdout), stderr: text(stderr), refusal })
    })
  })
}

/** Git and its helpers: they share its session's process group. */
function killGroup({ pid }: Git): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

/** Git asks for another login when one is refused, and nobody is there to ask. */
const NO_LOGIN = /could not read (?:Username|Password) for '([^']*)': terminal prompts disabled/g

/** The lines that say why, without git's own advice; URLs may hold passwords. */
function toldBy(
  stderr: string,
  code: number | string,
  { maxFileBytes = MAX_FILE_BYTES }: GitOptions,
): string {
  const lines = stderr.split('\n').filter((line) => /^(?:fatal|error|remote|ssh):? /.test(line))
  const told = lines.map((line) => line.replace(/^(?:fatal|error|remote): /, '')).join('; ')
  const said = withoutLogin(told)
    .replaceAll(NO_LOGIN, "'$1' refuses the login, or wants one")
    .slice(0, MAX_SHOWN)
  // SIGXFSZ of man 7 signal: of git, or of the program that it has write the pack.
  if (code === 'SIGXFSZ' || /index-pack|File too large/.test(stderr))
    return `git: ${said}; files of it may have ${String(maxFileBytes >> 20)} MiB`
  return said === '' ? `git ended with ${String(code)}` : `git: ${said}`
}
