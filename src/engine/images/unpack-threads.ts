/**
 * Threads that unpack layers: several layers at once on several processors, and the daemon's own thread goes on answering.
 * A thread costs some 30 ms and 10 MiB, so it takes one layer after another, and ends when there has been none for a while.
 */
import { once } from 'node:events'
import os from 'node:os'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { TsstackError, type ErrorBody } from '../../errors.ts'
import type { UnpackedLayer, UnpackRequest } from './unpack-packed.ts'

/** What a thread says of a request. */
export type UnpackAnswer = { readonly unpacked: UnpackedLayer } | { readonly error: ErrorBody }

const IDLE_MS = 5000
const MAX_THREADS = Math.min(os.availableParallelism(), 4)

/** The bundle beside the daemon's when that is one, else its source (scripts/bundle.ts). */
function threadEntry(): string {
  const running = process.argv[1] ?? ''
  if (path.basename(running) === 'daemon.mjs')
    return path.join(path.dirname(running), 'unpack-thread.mjs')
  return path.join(import.meta.dirname, 'unpack-thread.ts')
}

class UnpackThread {
  /** Descriptors that the kernel has opened for us are none that the thread would know of. */
  readonly #worker = new Worker(threadEntry(), { trackUnmanagedFds: false })
  #idle: NodeJS.Timeout | undefined
  isUsable = true

  constructor() {
    this.#worker.unref()
    this.#worker.on('error', () => {
      this.isUsable = false
    })
  }

  async run(request: UnpackRequest): Promise<UnpackedLayer> {
    clearTimeout(this.#idle)
    this.#worker.postMessage(request)
    const [answer] = (await once(this.#worker, 'message')) as [UnpackAnswer]
    if ('unpacked' in answer) return answer.unpacked
    const { code, message, ...options } = answer.error
    throw new TsstackError(code, message, options)
  }

  /** @param ended - told when the thread has had nothing to do for long, and ends */
  rest(ended: () => void): void {
    this.#idle = setTimeout(() => {
      ended()
      void this.#worker.terminate()
    }, IDLE_MS).unref()
  }
}

const idle = new Set<UnpackThread>()
const waiting: (() => void)[] = []
let busy = 0

/**
 * As `unpackPacked`, on another thread, as soon as one is free.
 * @throws as `unpackPacked`
 */
export async function unpackOnThread(request: UnpackRequest): Promise<UnpackedLayer> {
  while (busy === MAX_THREADS) await new Promise<void>((resolve) => waiting.push(resolve))
  busy++
  const [resting] = idle
  const thread = resting ?? new UnpackThread()
  idle.delete(thread)
  try {
    return await thread.run(request)
  } finally {
    busy--
    if (thread.isUsable) {
      idle.add(thread)
      thread.rest(() => idle.delete(thread))
    }
    waiting.shift()?.()
  }
}
