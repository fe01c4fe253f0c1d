import { toTsstackError } from '../../errors.ts'

/**
 * Does the work for every item, several at once. The first failure keeps others from beginning, and is thrown when all have
 * ended.
 * @returns the results, in the order of the items
 */
export async function inParallel<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  const pending = [...items.entries()]
  let failure: unknown
  const worker = async (): Promise<void> => {
    try {
      for (let next = pending.shift(); next !== undefined; next = pending.shift())
        results[next[0]] = await work(next[1])
    } catch (error) {
      failure ??= error
      pending.length = 0
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  if (failure !== undefined) throw toTsstackError(failure)
  return results
}
