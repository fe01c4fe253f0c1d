/** A load of HTTP requests by wrk, beside the daemon, and what became of them. */
import { execa } from 'execa'
import type { DaemonFixture } from '../daemon-fixture.ts'

export const WRK = { wrk: '/usr/bin/wrk' }
const CONNECTIONS = 50

export interface LoadResult {
  readonly requests: number
  /** Connections that were refused or cut, requests without an answer, answers that say that something went wrong. */
  readonly failures: number
}

export interface LoadOptions {
  readonly url: string
  /** A connection for each request. Default: kept alive. */
  readonly isClosing?: boolean
}

/** Sends requests on 50 connections as fast as they are answered, while the work is done and for a second more. */
export async function underLoad(
  daemon: DaemonFixture,
  { url, isClosing = false }: LoadOptions,
  work: () => Promise<void>,
): Promise<LoadResult> {
  const headers = isClosing ? ['-H', 'Connection: close'] : []
  const wrk = [
    'wrk',
    '-t',
    '2',
    '-c',
    String(CONNECTIONS),
    '-d',
    '600',
    '--timeout',
    '10',
    ...headers,
    url,
  ]
  const child = execa('nsenter', [`--net=${daemon.netns}`, ...wrk])
  await pause(1000)
  await work()
  await pause(1000)
  child.kill('SIGINT') // it tells what it has counted until then
  return parseWrk((await child).stdout)
}

/** `1234 requests in 5.00s`; the lines about errors are there only when there are some. */
export function parseWrk(text: string): LoadResult {
  const [, requests] = /(\d+) requests in/.exec(text) ?? []
  if (requests === undefined) throw new Error(`wrk has not counted: ${text}`)
  const [, ...errors] =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text) ?? []
  const [, bad = '0'] = /Non-2xx or 3xx responses: (\d+)/.exec(text) ?? []
  const failures = [...errors, bad].reduce((sum, count) => sum + Number(count), 0)
  return { requests: Number(requests), failures }
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms))
}
