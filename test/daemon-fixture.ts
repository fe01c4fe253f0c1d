/**
 * A daemon of the test's own, for tests that go through the socket. It lives in new network and mount namespaces, with
 * its own state directory and cgroup parent, so that it neither sees the machine's containers nor is seen:
 *
 *   test ──unshare──▶ daemon      first one: makes the namespaces, the test keeps them by descriptor
 *        ──nsenter──▶ daemon      those after it: enter them again
 *
 * `close` brings every stack down, ends the daemon, and fails when anything is left: a process, a mount, a cgroup, an
 * interface, a file. Whatever it finds it removes nevertheless.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createClient, type Client } from '../src/client/client.ts'
import type { Session } from '../src/client/session.ts'
import type { ContainerSummary, ExecRequest, ProgressEvent, UpRequest } from '../src/api/types.ts'
import type { Service, Stack } from '../src/spec/stack.ts'
import { TsstackError } from '../src/errors.ts'
import { eventually } from './eventually.ts'

const ROOT = path.join(import.meta.dirname, '..')
const CGROUPS = '/sys/fs/cgroup'
/** Hundreds of daemons start in a run of all tests, and to compile the source takes most of the time of a start. */
const COMPILE_CACHE = path.join(os.tmpdir(), 'tsstack-test-compile-cache')
const SIGKILL_WAIT_MS = 10_000
const PAIR_WAIT_MS = 5000

export interface StackParts extends Partial<Omit<Stack, 'name' | 'services'>> {
  readonly services: Readonly<Record<string, Service>>
}

export interface ExecResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export interface ExecOptions extends Partial<Omit<ExecRequest, 'command'>> {
  /** Written to standard input, which is then closed. */
  readonly input?: string | Buffer
}

export interface DaemonOptions {
  /** More for the daemon's environment. */
  readonly environment?: Readonly<Record<string, string>>
  /** A directory of the caller's, for a disk of its own. Default: one that goes with the fixture. */
  readonly stateDir?: string
}

export interface DaemonFixture {
  readonly client: Client
  readonly socket: string
  readonly stateDir: string
  readonly runDir: string
  /** Name of the control group below which all of its containers are. */
  readonly cgroupParent: string
  /** Of the daemon that runs now. */
  readonly pid: number
  /** A path of the network namespace that is the daemon's host; open it to enter it. */
  readonly netns: string
  /** A scratch directory for bind mounts and the like; goes with the fixture. */
  readonly scratch: string
  /** Starts the daemon again after `kill`. Resolves when it answers. */
  start(): Promise<void>
  /** Sends a signal to the daemon and waits until it has ended. Default: SIGKILL. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** Starts one more process of the daemon's program, with the same settings but for these; resolves when that has ended. */
  second(
    environment?: Readonly<Record<string, string>>,
  ): Promise<{ readonly exitCode: number | null; readonly log: string }>
  /** What the daemons have logged. */
  log(): string
  /** Processes of the daemon's namespaces beside it and its containers: what keeps descriptors for it. */
  others(): readonly { readonly pid: number; readonly command: string }[]
  /** `up`; gives the events, throws the first failure. */
  up(name: string, parts: StackParts, options?: UpRequest['options']): Promise<ProgressEvent[]>
  down(
    name: string,
    options?: {
      readonly volumes?: boolean
      readonly removeOrphans?: boolean
      readonly timeoutSeconds?: number
    },
  ): Promise<ProgressEvent[]>
  /** The only container of a service, whatever its state. */
  container(stack: string, service: string): Promise<ContainerSummary>
  exec(id: string, command: readonly string[], options?: ExecOptions): Promise<ExecResult>
  /** Runs a shell script in a container. @throws {Error} unless it exits with 0. @returns its standard output, trimmed */
  sh(id: string, script: string): Promise<string>
  /** The log of a stack, as one text for each line. */
  logs(stack: string): Promise<string[]>
  close(): Promise<void>
}

/** A request of `up` for a stack of parts. */
export function upRequest(
  name: string,
  parts: StackParts,
  options: UpRequest['options'] = {},
): UpRequest {
  const stack: Stack = { networks: {}, volumes: {}, configs: {}, secrets: {}, ...parts, name }
  const encode = (files: Stack['configs']): Record<string, string> =>
    Object.fromEntries(
      Object.entries(files).map(([key, file]) => [
        key,
        Buffer.from(file.content ?? '').toString('base64'),
      ]),
    )
  return {
    stack,
    files: ['/stack.yaml'],
    workingDir: '/',
    contents: { configs: encode(stack.configs), secrets: encode(stack.secrets) },
    options,
  }
}

/** Collects a stream. @throws {TsstackError} for an event of a failure */
export async function collect<T>(stream: AsyncIterable<readonly T[]>): Promise<T[]> {
  const items: T[] = []
  for await (const batch of stream) items.push(...batch)
  return items
}

let counter = 0

/** Starts a private daemon; resolves when it answers. Needs root, and `unshare` and `nsenter` of util-linux. */
export async function startDaemonFixture(options: DaemonOptions = {}): Promise<DaemonFixture> {
  const fixture = new Fixture(options)
  try {
    await fixture.start()
    return fixture
  } catch (error) {
    await fixture.close().catch(() => undefined)
    throw error
  }
}

class Fixture implements DaemonFixture {
  readonly client: Client
  readonly socket: string
  readonly stateDir: string
  readonly runDir: string
  readonly scratch: string
  readonly cgroupParent: string
  readonly #home: string
  readonly #environment: NodeJS.ProcessEnv
  #daemon: ChildProcess | undefined
  #namespaces: { readonly net: number; readonly mnt: number } | undefined
  #log = ''
  #closed = false

  constructor({ environment = {}, stateDir }: DaemonOptions) {
    this.#home = mkdtempSync(path.join(os.tmpdir(), 'tsstack-daemon-'))
    this.stateDir = stateDir ?? path.join(this.#home, 'state')
    this.runDir = path.join(this.#home, 'run')
    this.scratch = path.join(this.#home, 'scratch')
    mkdirSync(this.scratch)
    this.socket = path.join(this.runDir, 'tsstack.sock')
    this.cgroupParent = `tsstack-test-${process.pid}-${counter++}`
    this.client = createClient({ socket: this.socket })
    this.#environment = {
      PATH: process.env['PATH'],
      NODE_COMPILE_CACHE: COMPILE_CACHE,
      HOME: '/root',
      TSSTACK_STATE_DIR: this.stateDir,
      TSSTACK_RUN_DIR: this.runDir,
      TSSTACK_CGROUP_PARENT: this.cgroupParent,
      ...environment,
    }
  }

  get pid(): number {
    const pid = this.#daemon?.pid
    if (pid === undefined) throw new Error('the daemon does not run')
    return pid
  }

  get netns(): string {
    if (this.#namespaces === undefined) throw new Error('the daemon has not started')
    return `/proc/${process.pid}/fd/${this.#namespaces.net}`
  }

  async start(): Promise<void> {
    const daemon = this.#spawn()
    this.#daemon = daemon
    await eventually('an answer of the daemon', async () => {
      if (daemon.exitCode !== null || daemon.signalCode !== null)
        throw new Error(
          `the daemon has ended (${String(daemon.signalCode ?? daemon.exitCode)}):\n${this.#log}`,
        )
      return this.client.version().catch(() => undefined)
    })
    this.#namespaces ??= {
      net: openSync(`/proc/${this.pid}/ns/net`, 'r'),
      mnt: openSync(`/proc/${this.pid}/ns/mnt`, 'r'),
    }
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const daemon = this.#daemon
    this.#daemon = undefined
    if (daemon === undefined) return
    const ended = exitOf(daemon)
    daemon.kill(signal)
    await ended
  }

  async second(
    environment: Readonly<Record<string, string>> = {},
  ): Promise<{ exitCode: number | null; log: string }> {
    const before = this.#log.length
    const process = this.#spawn({ ...this.#environment, ...environment })
    const exitCode = await exitOf(process)
    return { exitCode, log: this.#log.slice(before) }
  }

  log(): string {
    return this.#log
  }

  others(): { pid: number; command: string }[] {
    const contained = new Set(this.#processes())
    return this.#inNamespaces()
      .filter((pid) => pid !== this.#daemon?.pid && !contained.has(pid))
      .map((pid) => ({ pid, command: commandOf(pid) }))
  }

  async up(
    name: string,
    parts: StackParts,
    options: UpRequest['options'] = {},
  ): Promise<ProgressEvent[]> {
    return collect(this.client.up(name, upRequest(name, parts, options)))
  }

  async down(
    name: string,
    options: {
      readonly volumes?: boolean
      readonly removeOrphans?: boolean
      readonly timeoutSeconds?: number
    } = {},
  ): Promise<ProgressEvent[]> {
    return collect(this.client.down(name, { options: { timeoutSeconds: 0, ...options } }))
  }

  async container(stack: string, service: string): Promise<ContainerSummary> {
    const all = await this.client.containers({ stack, all: true })
    const [found, ...others] = all.filter((container) => container.service === service)
    if (found !== undefined && others.length === 0) return found
    throw new Error(`${others.length} more containers of ${service} than one`)
  }

  async exec(
    id: string,
    command: readonly string[],
    options: ExecOptions = {},
  ): Promise<ExecResult> {
    const { input, ...rest } = options
    const session = await this.client.exec(id, {
      command,
      tty: false,
      stdin: input !== undefined,
      ...rest,
    })
    return runSession(session, input)
  }

  async sh(id: string, script: string): Promise<string> {
    const { exitCode, stdout, stderr } = await this.exec(id, ['sh', '-c', script])
    if (exitCode !== 0) throw new Error(`exit code ${exitCode} of: ${script}\n${stdout}${stderr}`)
    return stdout.trim()
  }

  async logs(stack: string): Promise<string[]> {
    return (await collect(this.client.logs(stack, {}))).map(({ line }) => line)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    try {
      const left = await this.#bringDown()
      if (left.length > 0)
        throw new Error(
          `the daemon left behind:\n${left.join('\n')}\nits log:\n${this.#log.slice(-4000)}`,
        )
    } finally {
      await this.#removeAll()
    }
  }

  #spawn(environment = this.#environment): ChildProcess {
    const { execPath } = process
    const node = [execPath, '--disable-warning=ExperimentalWarning']
    const main = path.join(ROOT, 'src/daemon/main.ts')
    const entered = this.#namespaces
    const own = `/proc/${process.pid}/fd`
    const [program, ...args] =
      entered === undefined
        ? [
            'unshare',
            '--net',
            '--mount',
            '--propagation',
            'slave',
            ...node,
            '--import',
            path.join(import.meta.dirname, 'fixtures/loopback-up.ts'),
            main,
          ]
        : ['nsenter', `--net=${own}/${entered.net}`, `--mount=${own}/${entered.mnt}`, ...node, main]
    const child = spawn(program, args, {
      cwd: '/',
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#log += text
      })
    }
    return child
  }

  /** @returns what is there that should not be */
  async #bringDown(): Promise<string[]> {
    if (this.#daemon === undefined && this.#namespaces !== undefined) await this.start()
    if (this.#daemon === undefined) return []
    if (this.#daemon.exitCode !== null || this.#daemon.signalCode !== null)
      return [`a daemon that had crashed`]
    for (const { name } of await this.client.stacks())
      await this.down(name, { volumes: true, removeOrphans: true })
    // A connection that nobody acknowledges keeps a pair until the daemon's timer removes it.
    await eventually('interfaces to go', () => this.#interfaces().length === 0, PAIR_WAIT_MS).catch(
      () => undefined, // named below
    )
    const left = [
      ...(await this.client.containers({ all: true })).map(({ name }) => `container ${name}`),
      ...(await this.client.networks()).map(({ name }) => `network ${name}`),
      ...(await this.client.volumes()).map(({ name }) => `volume ${name}`),
      ...this.#interfaces().map((name) => `interface ${name}`),
      ...this.#mounts().map((line) => `mount ${line}`),
      ...(await this.#descriptors()).map((line) => `descriptor ${line}`),
      ...['containers', 'snapshots/overlay', 'snapshots/vfs', 'volumes'].flatMap((directory) =>
        this.#files(directory),
      ),
    ]
    left.push(...childrenOf(this.pid).map((pid) => `child ${String(pid)} (${commandOf(pid)})`))
    left.push(...this.#firewallTables().map((name) => `table ${name}`))
    await this.kill('SIGTERM')
    left.push(...this.#rows().map((row) => `row ${row}`))
    left.push(...this.#inNamespaces().map((pid) => `process ${String(pid)} (${commandOf(pid)})`))
    return [
      ...left,
      ...this.#processes().map((pid) => `process ${pid} (${commandOf(pid)})`),
      ...this.#cgroups().map((name) => `cgroup ${name}`),
    ]
  }

  #interfaces(): string[] {
    return readFileSync(`/proc/${this.pid}/net/dev`, 'utf8')
      .split('\n')
      .flatMap((line) => /^\s*([^\s:]+):/.exec(line)?.[1] ?? [])
      .filter((name) => name !== 'lo')
  }

  /** What `nft`, where there is one, shows of the daemon's host. */
  #firewallTables(): string[] {
    const { stdout } = spawnSync('nsenter', [`--net=${this.netns}`, 'nft', 'list', 'tables'], {
      encoding: 'utf8',
    })
    return stdout.split('\n').filter((line) => line !== '')
  }

  /** The daemon has ended: whatever is in its state now stays. */
  #rows(): string[] {
    const database = new DatabaseSync(path.join(this.stateDir, 'state.db'))
    try {
      return database
        .prepare('SELECT kind, key FROM document')
        .all()
        .map((row) => `${String(row['kind'])} ${String(row['key'])}`)
    } finally {
      database.close()
    }
  }

  /** The daemon must mount nothing, neither in its own namespace nor in ours. */
  #mounts(): string[] {
    return ['self', String(this.pid)].flatMap((pid) =>
      readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
        .split('\n')
        .filter((line) => line.includes(this.#home)),
    )
  }

  /** What a daemon without a container has no use for: pipes of containers, their namespaces, detached mounts. */
  async #descriptors(): Promise<string[]> {
    const suspicious = (): string[] =>
      readdirSync(`/proc/${this.pid}/fd`)
        .map((fd) => readLinkOf(`/proc/${this.pid}/fd/${fd}`))
        .filter((target) =>
          /\/containers\/|^(?:net|mnt|user|pid|uts|ipc):|ptmx|\[pidfd\]/.test(target),
        )
    await eventually(
      'the end of the last descriptors',
      () => suspicious().length === 0,
      2000,
    ).catch(() => undefined)
    return suspicious()
  }

  #files(directory: string): string[] {
    const root = path.join(this.stateDir, directory)
    const visible = existsSync(root) ? readdirSync(root).filter((name) => name !== '.tmp') : []
    return visible.map((name) => `file ${directory}/${name}`)
  }

  #cgroupDirectories(): string[] {
    return readdirSync(CGROUPS)
      .map((hierarchy) => path.join(CGROUPS, hierarchy, this.cgroupParent))
      .concat(path.join(CGROUPS, this.cgroupParent))
      .filter((directory) => existsSync(directory))
  }

  /** Groups of containers; the parent itself stays as long as the daemon. */
  #cgroups(): string[] {
    return this.#cgroupDirectories().flatMap((directory) =>
      treeOf(directory).filter((found) => found !== directory),
    )
  }

  /** Processes beside the containers': daemons, and what keeps descriptors for them. */
  #inNamespaces(): number[] {
    if (this.#namespaces === undefined) return []
    const ours = readLinkOf(this.netns)
    return pidsOfAll().filter((pid) => readLinkOf(`/proc/${String(pid)}/ns/net`) === ours)
  }

  #processes(): number[] {
    const files = this.#cgroupDirectories().flatMap(treeOf)
    const pids = files.flatMap((directory) =>
      readIfThere(path.join(directory, 'cgroup.procs'))
        .split('\n')
        .filter((line) => line !== ''),
    )
    return [...new Set(pids.map(Number))]
  }

  async #removeAll(): Promise<void> {
    await this.kill()
    for (const pid of this.#inNamespaces()) killQuietly(pid)
    const deadline = performance.now() + SIGKILL_WAIT_MS
    while (this.#processes().length > 0 && performance.now() < deadline) {
      for (const directory of this.#cgroupDirectories().flatMap(treeOf)) thaw(directory)
      for (const pid of this.#processes()) killQuietly(pid)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    // A group stays busy for a moment after its last process.
    await eventually('the removal of the cgroups', () => {
      for (const directory of this.#cgroupDirectories().flatMap(treeOf).reverse())
        removeQuietly(directory)
      return this.#cgroupDirectories().length === 0
    })
    if (this.#namespaces !== undefined) {
      closeSync(this.#namespaces.net)
      closeSync(this.#namespaces.mnt)
    }
    rmSync(this.#home, { recursive: true, force: true })
  }
}

/** Runs a session to its end, `input` (if any) on its standard input. */
export async function runSession(session: Session, input?: string | Buffer): Promise<ExecResult> {
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []]
  if (input !== undefined) {
    const bytes = Buffer.from(input)
    for (let offset = 0; offset < bytes.length; offset += 65_536)
      session.write(bytes.subarray(offset, offset + 65_536))
    session.closeStdin()
  }
  const { exitCode } = await session.run({
    onStdout: (bytes) => {
      stdout.push(Buffer.from(bytes))
    },
    onStderr: (bytes) => {
      stderr.push(Buffer.from(bytes))
    },
  })
  return {
    exitCode,
    stdout: Buffer.concat(stdout).toString(),
    stderr: Buffer.concat(stderr).toString(),
  }
}

/** The failure that a promise ends with. @throws {Error} when it succeeds */
export async function failureOf(work: Promise<unknown>): Promise<TsstackError> {
  try {
    await work
  } catch (error) {
    if (error instanceof TsstackError) return error
    throw error
  }
  throw new Error('it should have failed')
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  return new Promise((resolve) =>
    child.once('exit', (code) => {
      resolve(code)
    }),
  )
}

/** A directory and all below it, parents first. */
function treeOf(directory: string): string[] {
  const entries = existsSync(directory) ? readdirSync(directory, { withFileTypes: true }) : []
  const below = entries
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => treeOf(path.join(directory, entry.name)))
  return [directory, ...below]
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function readLinkOf(file: string): string {
  try {
    return readlinkSync(file)
  } catch {
    return ''
  }
}

function pidsOfAll(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

/** Zombies included. */
function childrenOf(parent: number): number[] {
  return pidsOfAll().filter((pid) => {
    const stat = readIfThere(`/proc/${String(pid)}/stat`)
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent
  })
}

function commandOf(pid: number): string {
  return (
    readIfThere(`/proc/${pid}/cmdline`).replaceAll('\0', ' ') || readIfThere(`/proc/${pid}/comm`)
  ).trim()
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it has just ended
  }
}

function thaw(directory: string): void {
  const file = path.join(directory, 'freezer.state')
  if (readIfThere(file).startsWith('FROZEN'))
    spawn('sh', ['-c', `echo THAWED > ${file}`], { stdio: 'ignore' })
}

function removeQuietly(directory: string): void {
  try {
    rmdirSync(directory)
  } catch {
    // busy: the caller tries again
  }
}
