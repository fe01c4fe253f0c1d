/** Pauses between tries. */
export interface BackOff {
  readonly firstMs: number
  readonly longestMs: number
}

/**
 * Milliseconds to wait before a try: twice as long each time, less up to a half by chance, so that what failed together
 * does not try again together.
 * @param failures - in a row, from 1
 */
export function backOffMs(failures: number, { firstMs, longestMs }: BackOff): number {
  return Math.min(firstMs * 2 ** (failures - 1), longestMs) * (0.5 + Math.random() / 2)
}
