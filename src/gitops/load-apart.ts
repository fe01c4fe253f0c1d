/**
 * Loads commits on threads of their own: a few lines of YAML can stand for more time and memory than the daemon has, and a
 * thread that takes too much ends alone. One takes some 100 ms to start, so it takes one commit after another, and ends when
 * there has been none for a while.
 */
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { TsstackError, type ErrorBody } from '../errors.ts'
import { SpecError, type Diagnostic } from '../spec/spec-error.ts'
import { loadRevision, type LoadedRevision, type LoadRequest } from './load-revision.ts'

/** What a thread says of a request. */
export type LoadAnswer =
  | { readonly loaded: LoadedRevision }
  | { readonly diagnostics: readonly Diagnostic[] }
  | { readonly error: ErrorBody }

/** What a commit may take. */
export interface LoadLimits {
  readonly timeoutMs: number
  /** MiB of the heap. */
  readonly memory: number
}

const LIMITS: LoadLimits = { timeoutMs: 120_000, memory: 768 }
const IDLE_MS = 10_000

/** The name of the bundle beside the daemon's, where the daemon is one (scripts/bundle.ts). */
declare const LOAD_THREAD: string | undefined

const ENTRY =
  typeof LOAD_THREAD === 'string'
    ? join(dirname(process.argv[1] ?? ''), LOAD_THREAD)
    : join(import.meta.dirname, 'load-thread.ts')

class LoadThread {
  readonly #worker: Worker
  readonly #limits: LoadLimits
  #idle: NodeJS.Timeout | undefined

  constructor(limits: LoadLimits) {
    this.#limits = limits
    // Descriptors that the kernel has opened for us are none that the thread would know of.
    this.#worker = new Worker(ENTRY, {
      trackUnmanagedFds: false,
      resourceLimits: { maxOldGenerationSizeMb: limits.memory },
    })
    this.#worker.on('error', () => undefined)
  }

  /** @throws {PERMISSION_DENIED} it takes too much; the thread is gone then */
  async run(request: LoadRequest): Promise<LoadAnswer> {
    clearTimeout(this.#idle)
    this.#worker.ref()
    this.#worker.postMessage(request)
    const { timeoutMs, memory } = this.#limits
    try {
      const signal = AbortSignal.timeout(timeoutMs)
      const [answer] = (await once(this.#worker, 'message', { signal })) as [LoadAnswer]
      return answer
    } catch (error) {
      await this.#worker.terminate()
      const { name, code } = error as NodeJS.ErrnoException
      if (name === 'AbortError') throw tooMuch(`${String(timeoutMs / 1000)} s`)
      if (code === 'ERR_WORKER_OUT_OF_MEMORY') throw tooMuch(`${String(memory)} MiB of memory`)
      throw error
    }
  }

  /** @param ended - told when the thread has had nothing to do for long, and ends */
  rest(ended: () => void): void {
    this.#worker.unref()
    this.#idle = setTimeout(() => {
      ended()
      void this.#worker.terminate()
    }, IDLE_MS).unref()
  }
}

function tooMuch(limit: string): TsstackError {
  return new TsstackError('PERMISSION_DENIED', `Cannot load it: it takes more than ${limit}`, {
    hint: 'Look for ranges of ports, files and services that multiply each other',
  })
}

/** By the limits that they were made with. */
const idle = new Map<LoadLimits, LoadThread>()

/**
 * As `loadRevision`, on another thread; on this one, if the bundle that we are of has been replaced.
 * @throws as `loadRevision`; {PERMISSION_DENIED} it takes too much
 */
export async function loadApart(
  request: LoadRequest,
  limits: LoadLimits = LIMITS,
): Promise<LoadedRevision> {
  if (!existsSync(ENTRY)) return loadRevision(request)
  const thread = idle.get(limits) ?? new LoadThread(limits)
  idle.delete(limits)
  const answer = await thread.run(request)
  keep(limits, thread)
  if ('loaded' in answer) return answer.loaded
  if ('diagnostics' in answer) throw new SpecError(answer.diagnostics)
  const { code, message, ...options } = answer.error
  throw new TsstackError(code, message, options)
}

/** One is enough: who looks at several sources at once is rarely in a hurry. */
function keep(limits: LoadLimits, thread: LoadThread): void {
  const forget = (): void => {
    if (idle.get(limits) === thread) idle.delete(limits)
  }
  idle.get(limits)?.rest(() => undefined)
  idle.set(limits, thread)
  thread.rest(forget)
}
