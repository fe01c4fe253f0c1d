/**
 * Threads that unpack layers: several layers at once on several processors, and the daemon's own thread goes on answering.
 * A thread costs some 30 ms and 10 MiB, so it takes one layer after another, and ends when there has been none for a while.
 */
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { TsstackError, type ErrorBody } from '../../errors.ts'
import { unpackPacked, type UnpackedLayer, type UnpackRequest } from './unpack-packed.ts'

/** What a thread says of a request. */
export type UnpackAnswer = { readonly unpacked: UnpackedLayer } | { readonly error: ErrorBody }

const IDLE_MS = 5000
const MAX_THREADS = Math.min(os.availableParallelism(), 4)

/** The name of the bundle beside the daemon's, where the daemon is one (scripts/bundle.ts). */
declare const UNPACK_THREAD: string | undefined

const ENTRY =
  typeof UNPACK_THREAD === 'string'
    ? path.join(path.dirname(process.argv[1] ?? ''), UNPACK_THREAD)
    : path.join(import.meta.dirname, 'unpack-thread.ts')

class UnpackThread {
  /** Descriptors that the kernel has opened for us are none that the thread would know of. */
  readonly #worker = new Worker(ENTRY, { trackUnmanagedFds: false })
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
 * As `unpackPacked`, on another thread, as soon as one is free; on this one, if the bundle that we are of has been replaced.
 * @throws as `unpackPacked`
 */
export async function unpackOnThread(request: UnpackRequest): Promise<UnpackedLayer> {
  if (!fs.existsSync(ENTRY)) return unpackPacked(request)
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
