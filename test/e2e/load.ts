/** A load of HTTP requests by wrk, beside the daemon, and what became of them. */
import { execa } from 'execa'
import { parseWrk, type LoadResult } from '../../bench/wrk-report.ts'
import type { DaemonFixture } from '../daemon-fixture.ts'

export const WRK = { wrk: '/usr/bin/wrk' }
const CONNECTIONS = 50
const PAUSE_MS = 700

export interface LoadOptions {
  readonly url: string
  /** A connection for each request. Default: kept alive. */
  readonly isClosing?: boolean
}

/**
 * Sends requests on 50 connections of each load as fast as they are answered, while the work is done and for a moment
 * before and after it.
 */
export async function underLoad(
  daemon: DaemonFixture,
  loads: readonly LoadOptions[],
  work: () => Promise<void>,
): Promise<LoadResult[]> {
  const children = loads.map((load) => startLoad(daemon, load))
  await pause()
  await work()
  await pause()
  for (const child of children) child.kill('SIGINT') // it tells what it has counted until then
  return Promise.all(children.map(async (child) => parseWrk((await child).stdout)))
}

function startLoad(daemon: DaemonFixture, { url, isClosing = false }: LoadOptions) {
  const headers = isClosing ? ['-H', 'Connection: close'] : []
  const connections = ['-t', '2', '-c', String(CONNECTIONS)]
  const times = ['-d', '600', '--timeout', '10']
  const wrk = ['wrk', ...connections, ...times, ...headers, url]
  return execa('nsenter', [`--net=${daemon.netns}`, ...wrk])
}

async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
}
