/**
 * One health probe. `exec` runs a program in the container; the others need no process there: the daemon connects to
 * the container's address, or looks at a path below its root.
 */
import { closeSync } from 'node:fs'
import { request } from 'node:http'
import { connect, type NetConnectOpts } from 'node:net'
import { Open } from '../kernel/constants.ts'
import { RESOLVE, tryOpenConfined } from '../kernel/file-calls.ts'
import type { HealthCheck } from './container-config.ts'
import { openContainerRoot, type ExecSession } from './exec-session.ts'
import { finishSession } from './finish-session.ts'

export interface ProbeResult {
  readonly exitCode: number
  /** What it printed, at most 4 KiB. */
  readonly output: string
}

export interface ProbeTarget {
  readonly pid: number
  /** Of the container, as the daemon reaches it. */
  readonly address: string
  /** Runs a command in the container. */
  readonly exec: (command: readonly string[]) => Promise<ExecSession>
}

const HEALTHY: ProbeResult = { exitCode: 0, output: '' }

/** Runs a probe; a probe that fails, or takes longer than its timeout, gives a non-zero exit code. Never throws. */
export async function runProbe(check: HealthCheck, target: ProbeTarget): Promise<ProbeResult> {
  const { test, timeoutMs } = check
  try {
    switch (test.kind) {
      case 'exec':
        return await probeByExec(test.command, target, timeoutMs)
      case 'http':
        return await probeByHttp({ ...test, address: target.address, timeoutMs })
      case 'tcp':
        return await probeByConnect({ host: target.address, port: test.port }, timeoutMs)
      case 'unix':
        return await withPath(target.pid, test.path, (path) => probeByConnect({ path }, timeoutMs))
      case 'file':
        return await withPath(target.pid, test.path, () => Promise.resolve(HEALTHY))
    }
  } catch (error) {
    return { exitCode: 1, output: error instanceof Error ? error.message : String(error) }
  }
}

async function probeByExec(
  command: readonly string[],
  target: ProbeTarget,
  timeoutMs: number,
): Promise<ProbeResult> {
  const { exitCode, output } = await finishSession(await target.exec(command), timeoutMs)
  if (exitCode !== undefined) return { exitCode, output }
  return { exitCode: -1, output: `the check took longer than ${timeoutMs} ms` }
}

interface HttpProbe {
  readonly address: string
  readonly port: number
  readonly path: string
  readonly host?: string
  readonly timeoutMs: number
}

function probeByHttp({ address, port, path, host, timeoutMs }: HttpProbe): Promise<ProbeResult> {
  return new Promise((resolve, reject) => {
    const headers = {
      connection: 'close',
      'user-agent': 'tsstack-probe',
      ...(host === undefined ? {} : { host }),
    }
    const probe = request(
      { host: address, port, path, headers, timeout: timeoutMs, agent: false },
      (response) => {
        const status = response.statusCode ?? 0
        response.destroy()
        resolve({ exitCode: status >= 200 && status < 400 ? 0 : 1, output: `HTTP ${status}` })
      },
    )
    probe.on('timeout', () => {
      probe.destroy(new Error(`no answer within ${timeoutMs} ms`))
    })
    probe.on('error', reject)
    probe.end()
  })
}

function probeByConnect(where: NetConnectOpts, timeoutMs: number): Promise<ProbeResult> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...where, timeout: timeoutMs })
    socket.on('connect', () => {
      socket.destroy()
      resolve(HEALTHY)
    })
    socket.on('timeout', () => {
      socket.destroy(new Error(`no connection within ${timeoutMs} ms`))
    })
    socket.on('error', reject)
  })
}

/** Resolves a path as the container sees it: its symlinks can't lead out. */
async function withPath(
  pid: number,
  path: string,
  use: (hostPath: string) => Promise<ProbeResult>,
): Promise<ProbeResult> {
  const root = openContainerRoot(pid)
  try {
    const fd = tryOpenConfined(root, path, { flags: Open.PATH, resolve: RESOLVE.IN_ROOT })
    if (fd < 0) return { exitCode: 1, output: `"${path}" does not exist` }
    try {
      return await use(`/proc/self/fd/${fd}`)
    } finally {
      closeSync(fd)
    }
  } finally {
    closeSync(root)
  }
}
