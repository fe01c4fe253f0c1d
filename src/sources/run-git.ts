/**
 * Runs `git`, which is somebody else's program fed by somebody else's server: no prompts, one transport, no hooks, no
 * submodules, none of the caller's repository.
 */
import { spawn } from 'node:child_process'
import { TsstackError } from '../errors.ts'
import type { GitReference } from './git-reference.ts'

const TIMEOUT_MS = 600_000
const MAX_OUTPUT = 8 << 20
const MAX_SHOWN = 2000

/** Of an outer git, such as in a hook: they would lead to another repository. */
const OUTER =
  /^GIT_(?:DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|COMMON_DIR|NAMESPACE|CONFIG.*|TEMPLATE_DIR|EXTERNAL_DIFF|PROXY_COMMAND)$/

export type Environment = Readonly<Record<string, string>>

export interface GitOptions {
  /** More settings, `name=value`: in the environment, where `ps` does not show them. */
  readonly settings?: readonly string[]
  /** Absent: ten minutes. */
  readonly timeoutMs?: number
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
function environmentOf(env: Environment): Environment {
  const kept = Object.entries(env).filter(([name]) => !OUTER.test(name))
  const ssh = 'GIT_SSH' in env || 'GIT_SSH_COMMAND' in env
  return {
    ...Object.fromEntries(kept),
    ...(ssh ? {} : { GIT_SSH_COMMAND: 'ssh -o BatchMode=yes' }),
    GIT_TERMINAL_PROMPT: '0',
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
  { settings = [], timeoutMs = TIMEOUT_MS }: GitOptions = {},
): Promise<string> {
  const child = spawn('git', [...settingsFor(reference), ...words], {
    env: { ...environmentOf(env), ...environmentOfSettings(settings) },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
  })
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []]
  let size = 0
  for (const [stream, chunks] of [
    [child.stdout, stdout],
    [child.stderr, stderr],
  ] as const) {
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > MAX_OUTPUT) child.kill('SIGKILL')
      else chunks.push(chunk)
    })
  }
  const code = await new Promise<number | string>((resolve, reject) => {
    child.on('error', (error) => {
      reject(failedStart(error))
    })
    child.on('close', (exitCode, signal) => {
      resolve(exitCode ?? signal ?? 'unknown')
    })
  })
  if (code === 0) return Buffer.concat(stdout).toString()
  throw new TsstackError('UNAVAILABLE', toldBy(Buffer.concat(stderr).toString(), code))
}

function failedStart(error: NodeJS.ErrnoException): TsstackError {
  if (error.code !== 'ENOENT') return new TsstackError('UNAVAILABLE', `git: ${error.message}`)
  return new TsstackError('FAILED_PRECONDITION', 'there is no git on the PATH', {
    hint: 'install it (Debian: apt-get install git)',
  })
}

/** The lines that say why, without git's own advice; URLs may hold passwords. */
function toldBy(stderr: string, code: number | string): string {
  const lines = stderr.split('\n').filter((line) => /^(?:fatal|error|remote|ssh):? /.test(line))
  const said = lines
    .map((line) => line.replace(/^(?:fatal|error|remote): /, ''))
    .join('; ')
    .replaceAll(/\/\/[^/@\s]*@/g, '//')
    .slice(0, MAX_SHOWN)
  return said === '' ? `git ended with ${String(code)}` : `git: ${said}`
}
