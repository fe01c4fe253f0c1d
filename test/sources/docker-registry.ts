/** The registry of Debian's docker-registry package, on this machine, with a directory of the test's own. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../eventually.ts'

export const hasRegistry = spawnSync('docker-registry', ['--version']).status === 0

export const USER = 'reader'
export const PASSWORD = 'secret'
/** bcrypt of the password. */
const HASH = '$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a'

export interface RegistryServer {
  /** `127.0.0.1:PORT`. */
  readonly host: string
  close(): Promise<void>
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Plain HTTP on loopback; with `auth` it asks for a password. */
export async function startRegistry({ auth = false } = {}): Promise<RegistryServer> {
  const directory = mkdtempSync(join(tmpdir(), 'tsstack-registry-'))
  const host = `127.0.0.1:${String(await freePort())}`
  const passwords = join(directory, 'htpasswd')
  writeFileSync(passwords, `${USER}:${HASH}\n`)
  const config = {
    version: '0.1',
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(directory, 'data') } },
    http: { addr: host },
    ...(auth ? { auth: { htpasswd: { realm: 'test', path: passwords } } } : {}),
  }
  const file = join(directory, 'config.yml')
  writeFileSync(file, JSON.stringify(config))
  const server = spawn('docker-registry', ['serve', file], { stdio: 'ignore' })
  const ended = new Promise((resolve) => server.once('exit', resolve))
  await eventually('the registry', () =>
    fetch(`http://${host}/v2/`).then(
      () => true,
      () => false,
    ),
  )
  return {
    host,
    close: async () => {
      server.kill()
      await ended
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
