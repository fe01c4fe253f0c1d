/** One item after the other out of a stream of batches. */
export async function* flatten<T>(
  batches: AsyncIterable<readonly T[]>,
): AsyncGenerator<T, void, undefined> {
  for await (const batch of batches) yield* batch
}
