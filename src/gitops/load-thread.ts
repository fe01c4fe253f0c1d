/** What a thread of load-apart.ts runs: one request after another, each with its answer. */
import { parentPort } from 'node:worker_threads'
import { toTsstackError } from '../errors.ts'
import { SpecError } from '../spec/spec-error.ts'
import type { LoadAnswer } from './load-apart.ts'
import { loadRevision, type LoadRequest } from './load-revision.ts'

async function answer(request: LoadRequest): Promise<LoadAnswer> {
  try {
    return { loaded: await loadRevision(request) }
  } catch (error) {
    if (error instanceof SpecError) return { diagnostics: error.diagnostics }
    return { error: toTsstackError(error).toBody() }
  }
}

parentPort?.on('message', (request: LoadRequest) => {
  void answer(request).then((result) => parentPort?.postMessage(result))
})
