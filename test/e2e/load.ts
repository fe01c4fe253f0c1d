/** A load of HTTP requests by wrk, beside the daemon, and what became of them. */
import { execa } from 'execa'
import { parseWrk, type LoadResult } from '../../bench/wrk-report.ts'
import type { DaemonFixture } from '../daemon-fixture.ts'

export const WRK = { wrk: '/usr/bin/wrk' }
const CONNECTIONS = 50

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

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms))
}
