/** What wrk says at its end. */

export interface LoadResult {
  readonly requests: number
  /** Connections that were refused or cut, requests without an answer, answers that say that something went wrong. */
  readonly failures: number
}

/**
 * `1234 requests in 5.00s`; the lines about errors are there only when there are some.
 * @throws {Error} when it has not come to its end
 */
export function parseWrk(text: string): LoadResult {
  const [, requests] = /(\d+) requests in/.exec(text) ?? []
  if (requests === undefined) throw new Error(`wrk has not counted: ${text}`)
  const [, ...errors] =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text) ?? []
  const [, bad = '0'] = /Non-2xx or 3xx responses: (\d+)/.exec(text) ?? []
  const failures = [...errors, bad].reduce((sum, count) => sum + Number(count), 0)
  return { requests: Number(requests), failures }
}
