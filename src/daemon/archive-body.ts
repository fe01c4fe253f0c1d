/** Tar archives as bodies of requests. */
import { Readable } from 'node:stream'
import { TsstackError } from '../errors.ts'

/** @throws {INVALID_ARGUMENT} the body is something else */
export function archiveOf(body: unknown): Readable {
  if (body instanceof Readable) return body
  throw new TsstackError(
    'INVALID_ARGUMENT',
    'Cannot read archive: the body is not application/x-tar',
  )
}

/** Leaving the loop early must not close the connection: the answer has to get through. */
async function* chunksOf(stream: Readable): AsyncGenerator<Buffer> {
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) yield chunk as Buffer
}

/** What is left of a body. Its end counts, not that it is closed: that comes only with the answer. */
async function drain(stream: Readable): Promise<void> {
  if (stream.readableEnded || stream.destroyed) return
  await new Promise<void>((resolve) => {
    const done = (): void => {
      resolve()
    }
    stream.once('end', done).once('close', done).once('error', done).resume()
  })
}

/** Works on an archive; what is left of it is taken in: a client that still sends would see a broken pipe instead. */
export async function drained<T>(
  archive: Readable,
  work: (chunks: AsyncIterable<Buffer>) => Promise<T>,
): Promise<T> {
  const chunks = chunksOf(archive)
  try {
    return await work(chunks)
  } finally {
    await chunks.return(undefined) // as long as it waits for more, nobody else gets any
    await drain(archive)
  }
}
