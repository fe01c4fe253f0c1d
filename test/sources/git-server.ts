/** A git repository of the test's own, served as git serves them: files, git daemon, http-backend; all on this machine. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { eventually } from '../eventually.ts'

export const hasGit = spawnSync('git', ['--version']).status === 0

export interface GitRepository {
  /** `DIR/shop.git`, bare. */
  readonly path: string
  readonly directory: string
  /** Commits these files (an absolute text `-> target` is a link) on the branch. @returns the commit */
  commit(files: Readonly<Record<string, string>>, branch?: string): string
  git(...words: string[]): string
  close(): void
}

const IDENTITY = ['-c', 'user.name=t', '-c', 'user.email=t@t', '-c', 'commit.gpgsign=false']

function runGit(directory: string, words: readonly string[]): string {
  const env = { PATH: process.env['PATH'], HOME: directory, GIT_CONFIG_NOSYSTEM: '1' }
  const run = spawnSync('git', ['-C', directory, ...IDENTITY, ...words], { encoding: 'utf8', env })
  if (run.status !== 0) throw new Error(`git ${words.join(' ')}: ${run.stderr}`)
  return run.stdout.trim()
}

export function createRepository(): GitRepository {
  const directory = mkdtempSync(join(tmpdir(), 'tsstack-git-'))
  const work = join(directory, 'work')
  const path = join(directory, 'shop.git')
  mkdirSync(work)
  runGit(directory, ['init', '--quiet', '--bare', '-b', 'main', path])
  runGit(work, ['init', '--quiet', '-b', 'main'])
  runGit(work, ['remote', 'add', 'origin', path])
  const git = (...words: string[]): string => runGit(work, words)
  return {
    path,
    directory,
    git,
    commit(files, branch = 'main') {
      git('checkout', '--quiet', '-B', branch)
      for (const [name, text] of Object.entries(files)) {
        const file = join(work, name)
        mkdirSync(dirname(file), { recursive: true })
        rmSync(file, { force: true })
        if (text.startsWith('-> ')) symlinkSync(text.slice(3), file)
        else writeFileSync(file, text)
      }
      git('add', '--all')
      git('commit', '--quiet', '--allow-empty', '-m', 'change')
      git('push', '--quiet', '--force', 'origin', branch)
      return git('rev-parse', 'HEAD')
    },
    close: () => {
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

export interface GitServer {
  readonly url: string
  close(): Promise<void>
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** `git://`, by git-daemon(1). */
export async function startGitDaemon(directory: string): Promise<GitServer> {
  const port = await freePort()
  const program = join(runGit(directory, ['--exec-path']), 'git-daemon')
  const flags = ['--export-all', '--listen=127.0.0.1', `--port=${String(port)}`, '--reuseaddr']
  const daemon = spawn(program, [...flags, `--base-path=${directory}`, directory], {
    stdio: 'ignore',
  })
  await eventually('the git daemon', () => canConnect(port))
  return {
    url: `git://127.0.0.1:${String(port)}`,
    close: async () => {
      const ended = new Promise((resolve) => daemon.once('exit', resolve))
      daemon.kill()
      await ended
    },
  }
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => {
      resolve(false)
    })
  })
}

/** git-http-backend(1), which speaks CGI, for a server of whoever asks. */
export function gitHttpHandler(directory: string): RequestListener {
  const backend = join(runGit(directory, ['--exec-path']), 'git-http-backend')
  return (request, response) => {
    answer(request, response, { backend, directory })
  }
}

/** `http://`. */
export async function startHttpServer(directory: string): Promise<GitServer> {
  const server = createServer(gitHttpHandler(directory)).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => {
          resolve()
        })
      }),
  }
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { backend, directory }: { readonly backend: string; readonly directory: string },
): void {
  const { pathname, search } = new URL(request.url ?? '/', 'http://localhost')
  const child = spawn(backend, {
    env: {
      PATH: process.env['PATH'],
      GIT_PROJECT_ROOT: directory,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method ?? 'GET',
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      HTTP_GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
    },
  })
  request.pipe(child.stdin)
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.on('close', () => {
    const bytes = Buffer.concat(chunks)
    const end = bytes.indexOf('\r\n\r\n')
    const headers = bytes.subarray(0, end).toString().split('\r\n')
    let status = 200
    for (const header of headers) {
      const [name = '', value = ''] = header.split(': ')
      if (name === 'Status') status = Number(value.slice(0, 3))
      else response.setHeader(name, value)
    }
    response.writeHead(status).end(bytes.subarray(end + 4))
  })
}
