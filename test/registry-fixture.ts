/**
 * Debian's `docker-registry` for one test: on a loopback port that the kernel chooses, with a configuration and a
 * directory of its own. `close` ends it and removes both.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { eventually } from './eventually.ts'

export interface RegistryFixture {
  /** `127.0.0.1:PORT`. */
  readonly host: string
  /** Where it keeps its content. */
  readonly data: string
  /** What it has logged: a line for each request, too. */
  readonly log: () => string
  readonly close: () => Promise<void>
}

export interface RegistryOptions {
  /** A path of the network namespace to listen in. Default: the test's own. */
  readonly netns?: string
  /** Lets in this user only. */
  readonly user?: { readonly name: string; readonly password: string }
  /** Lets in who shows a token that a service has signed. */
  readonly tokens?: TokenService
  /** Speaks https: files with a certificate and its key. */
  readonly tls?: {
    readonly certificate: string
    readonly key: string
    /** Authorities of the clients that are let in. */
    readonly clientcas?: readonly string[]
  }
  /** Is a mirror of this registry, a URL, and fetches what it lacks. */
  readonly mirrors?: string
}

export interface TokenService {
  /** The URL that gives tokens. */
  readonly realm: string
  readonly service: string
  readonly issuer: string
  /** A file with the certificate that tokens are signed by. */
  readonly certificate: string
}

function isInstalled(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
}

/** Programs that are missing, for the title of what is skipped: '' when all are there. */
export function missingPrograms(...programs: readonly string[]): string {
  const missing = programs.filter((program) => !isInstalled(program))
  return missing.length === 0 ? '' : ` (skipped: ${missing.join(', ')} not installed)`
}

/** In JSON, which is YAML. */
function configuration(directory: string, { user, tokens, tls, mirrors }: RegistryOptions): string {
  const htpasswd = { realm: 'test', path: path.join(directory, 'htpasswd') }
  const token = tokens && {
    ...{ realm: tokens.realm, service: tokens.service, issuer: tokens.issuer },
    rootcertbundle: tokens.certificate,
  }
  return JSON.stringify({
    version: '0.1',
    log: { level: 'info' },
    storage: {
      filesystem: { rootdirectory: path.join(directory, 'data') },
      delete: { enabled: true },
    },
    http: { addr: '127.0.0.1:0', ...(tls === undefined ? {} : { tls }) },
    ...(user === undefined ? {} : { auth: { htpasswd } }),
    ...(token === undefined ? {} : { auth: { token } }),
    ...(mirrors === undefined ? {} : { proxy: { remoteurl: mirrors } }),
  })
}

export async function startRegistry(options: RegistryOptions = {}): Promise<RegistryFixture> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'tsstack-registry-'))
  if (options.user !== undefined) {
    const { name, password } = options.user
    const { stdout } = spawnSync('htpasswd', ['-Bbn', name, password], { encoding: 'utf8' })
    writeFileSync(path.join(directory, 'htpasswd'), stdout)
  }
  const file = path.join(directory, 'config.yml')
  const logFile = path.join(directory, 'log')
  writeFileSync(file, configuration(directory, options))
  const command = ['sh', '-c', `exec docker-registry serve ${file} >${logFile} 2>&1`]
  const enter = options.netns === undefined ? [] : ['nsenter', `--net=${options.netns}`]
  const [program = '', ...args] = [...enter, ...command]
  const child = spawn(program, args, {
    stdio: 'ignore',
    env: { ...process.env, OTEL_TRACES_EXPORTER: 'none' },
  })
  const ended = new Promise<void>((resolve) => {
    child.on('close', () => {
      resolve()
    })
  })
  const close = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
    rmSync(directory, { recursive: true, force: true })
  }
  const log = (): string => readFileSync(logFile, 'utf8')
  const port = await eventually(
    'docker-registry to listen',
    () => existsSync(logFile) && /listening on 127\.0\.0\.1:(\d+)/.exec(log())?.[1],
  ).catch(async (error: unknown) => {
    await close()
    throw error
  })
  return { host: `127.0.0.1:${port}`, data: path.join(directory, 'data'), log, close }
}
