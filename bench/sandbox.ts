/** A place for one engine: namespaces of its own (probes/sandbox.c), and programs run and timed in them (run-in.c). */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { Probes } from './compile-probes.ts'
import { cpuMsOf, makeCpuAccount, removeCgroups } from './cpu-account.ts'

const RUN_TIMEOUT_MS = 300_000

export interface SandboxOptions {
  /** Also the name of its control group. */
  readonly name: string
  readonly probes: Probes
  /** A directory that is at the same path inside. */
  readonly work: string
  /** The root inside, a debootstrapped system. Default: the machine's. */
  readonly tree?: string
  /** crun 1.8 and 1.21 refuse a cgroup2 mount beside v1 controllers. */
  readonly withoutCgroup2?: boolean
  readonly environment?: NodeJS.ProcessEnv
  /** Control groups beside its own whose CPU time counts: where the engine puts containers. */
  readonly containerCgroups: readonly string[]
}

export interface RunResult {
  /** From fork to the end, as seen beside the program. */
  readonly wallMs: number
  /** Of the program and all that it waited for. */
  readonly cpuMs: number
  readonly exitCode: number
  readonly output: string
}

/** `close` ends everything that runs inside. */
export class Sandbox {
  readonly name: string
  readonly #options: SandboxOptions
  readonly #account: string
  #holder: ChildProcess | undefined
  #first = 0

  constructor(options: SandboxOptions) {
    this.name = options.name
    this.#options = options
    this.#account = makeCpuAccount(options.name)
  }

  async open(): Promise<void> {
    const { probes, work, tree, withoutCgroup2 } = this.#options
    const words = [
      work,
      ...(tree === undefined ? [] : ['--tree', tree]),
      ...(withoutCgroup2 === true ? ['--no-cgroup2'] : []),
    ]
    this.#holder = spawn(probes.sandbox, words, { stdio: ['pipe', 'pipe', 'inherit'] })
    const [line] = (await once(this.#holder.stdout as Readable, 'data')) as [Buffer]
    this.#first = Number(line.toString())
  }

  /** The pid of its first process: `/proc/<pid>/ns` names its namespaces. */
  get first(): number {
    return this.#first
  }

  /** Runs a program to its end. @throws {Error} when it fails, with what it said, unless `mayFail` */
  async run(
    words: readonly string[],
    options: { readonly mayFail?: boolean; readonly cwd?: string } = {},
  ): Promise<RunResult> {
    const child = this.#spawn(words, options.cwd)
    const timer = setTimeout(() => child.kill('SIGKILL'), RUN_TIMEOUT_MS)
    const [stdout, stderr, times] = await Promise.all([
      text(child.stdout as Readable),
      text(child.stderr as Readable),
      text(child.stdio[3] as Readable),
      once(child, 'close'),
    ])
    clearTimeout(timer)
    const [wallNs = 0, userUs = 0, systemUs = 0, exitCode = 125] =
      times === '' ? [] : times.split(' ').map(Number)
    if (exitCode !== 0 && options.mayFail !== true) {
      throw new Error(
        `Cannot run ${words.join(' ')} in ${this.name}: exit code ${exitCode}\n${stdout}${stderr}`,
      )
    }
    return { wallMs: wallNs / 1e6, cpuMs: (userUs + systemUs) / 1e3, exitCode, output: stdout }
  }

  /** Starts a program that stays. @param log receives what it says */
  start(words: readonly string[], log: (text: string) => void): void {
    const child = this.#spawn(words, undefined)
    child.stdout?.on('data', (chunk: Buffer) => {
      log(chunk.toString())
    })
    child.stderr?.on('data', (chunk: Buffer) => {
      log(chunk.toString())
    })
    child.unref()
  }

  #spawn(words: readonly string[], cwd: string | undefined): ChildProcess {
    return spawn(this.#options.probes['run-in'], [this.#account, String(this.#first), ...words], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...this.#options.environment },
      ...(cwd === undefined ? {} : { cwd }),
    })
  }

  /** Of all that has run inside and of its containers; kernel threads are not in it. */
  cpuMs(): number {
    return [this.name, ...this.#options.containerCgroups].reduce(
      (sum, name) => sum + cpuMsOf(name),
      0,
    )
  }

  /** Processes of the engine: those that are in no container (those have pid namespaces of their own). */
  processes(): number[] {
    const own = pidNamespace(this.#first)
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => pid !== this.#first && pidNamespace(pid) === own)
  }

  async close(): Promise<void> {
    if (this.#holder === undefined) return
    const ended = once(this.#holder, 'close')
    this.#holder.stdin?.end()
    await ended
    this.#holder = undefined
    for (const name of [this.name, ...this.#options.containerCgroups]) removeCgroups(name)
  }
}

function pidNamespace(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`)
  } catch {
    return undefined
  }
}

export interface Memory {
  readonly name: string
  readonly rssBytes: number
  readonly pssBytes: number
}

/** Of one process (man 5 proc, smaps_rollup); undefined when it has ended. */
export function memoryOf(pid: number): Memory | undefined {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
    const bytes = (field: string): number =>
      Number(new RegExp(`^${field}: +(\\d+) kB$`, 'm').exec(rollup)?.[1] ?? 0) * 1024
    return {
      name: readFileSync(`/proc/${pid}/comm`, 'utf8').trim(),
      rssBytes: bytes('Rss'),
      pssBytes: bytes('Pss'),
    }
  } catch {
    return undefined
  }
}
