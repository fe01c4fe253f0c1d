/** What a thread of unpack-threads.ts runs: one request after another, each with its answer. */
import { parentPort } from 'node:worker_threads'
import { toTsstackError } from '../../errors.ts'
import { unpackPacked, type UnpackRequest } from './unpack-packed.ts'
import type { UnpackAnswer } from './unpack-threads.ts'

async function answer(request: UnpackRequest): Promise<UnpackAnswer> {
  try {
    return { unpacked: await unpackPacked(request) }
  } catch (error) {
    return { error: toTsstackError(error).toBody() }
  }
}

parentPort?.on('message', (request: UnpackRequest) => {
  void answer(request).then((result) => parentPort?.postMessage(result))
})
