/** Commits that are loaded on a thread: as they would be here, and no further than they may go. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { loadApart, type LoadLimits } from '../../src/gitops/load-apart.ts'
import { loadRevision, type LoadRequest } from '../../src/gitops/load-revision.ts'
import { SpecError } from '../../src/spec/spec-error.ts'
import { gitSource, NOTHING_ALLOWED } from './git-source.ts'

const NETWORKS = Array.from({ length: 65 }, (_, at) => `n${String(at)}`)
const WEB = 'services:\n  web:\n    image: web:1\n'

describe('loadApart()', { timeout: 30_000 }, () => {
  let directory = ''
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsstack-apart-'))
    for (const name of ['content', 'one']) mkdirSync(join(directory, name))
  })
  afterEach(() => {
    rmSync(directory, { recursive: true, force: true })
  })

  const requestOf = (text: string): LoadRequest => {
    writeFileSync(join(directory, 'one/stack.yaml'), text)
    const [root, contentRoot] = [join(directory, 'one'), join(directory, 'content')]
    return { source: gitSource('file:///x.git'), root, contentRoot, others: [] }
  }

  test('gives what loading here gives, and the places of what is wrong', async () => {
    const request = requestOf(`${WEB}    ports: ["8080:80"]\n`)
    expect(await loadApart(request)).toEqual(await loadRevision(request))
    const wrong = await loadApart(requestOf(`${WEB}    privileged: true\n`)).catch(
      (error: unknown) => error,
    )
    expect(wrong).toBeInstanceOf(SpecError)
    expect(wrong).toMatchObject({ diagnostics: [{ line: 4, path: 'services.web.privileged' }] })
  })

  test.each([
    // Each stands for 64,512 mappings, with all that is noted of them.
    ['memory', { timeoutMs: 20_000, memory: 40 }, '40 MiB of memory'],
    ['time', { timeoutMs: 400, memory: 2000 }, '0.4 s'],
  ])('refuses what takes too much %s, and goes on', async (_, limits: LoadLimits, message) => {
    const range = '    ports: ["1024-65535:1024-65535/udp"]\n'
    const services = Array.from(
      { length: 100 },
      (_, at) => `  s${String(at)}:\n    image: a\n${range}`,
    )
    const request = requestOf(`services:\n${services.join('')}`)
    await expect(loadApart(request, limits)).rejects.toThrow(`it takes more than ${message}`)
    const again = { timeoutMs: 20_000, memory: 256 }
    expect(await loadApart(requestOf(WEB), again)).toBeDefined()
  })

  test.each([
    ['scale: 5001', '5001 containers'],
    ['deploy: { replicas: 1000000000 }', '1000000000 containers'],
    ['ports: ["2000-3000:2000-3000"]', '1001 published ports'],
    ['healthcheck: { test: "true", interval: 99ms }', 'every 99ms'],
    [`networks: [${NETWORKS.join()}]\nnetworks: { ${NETWORKS.join(': , ')}: }`, '65 networks'],
  ])('refuses %s', async (more, message) => {
    await expect(loadApart(requestOf(`${WEB}    ${more}\n`))).rejects.toThrow(message)
  })

  test('a range of ports that is allowed is as long as it likes', async () => {
    const request = requestOf(`${WEB}    ports: ["2000-4000:2000-4000", "5000:80"]\n`)
    const allow = { ...NOTHING_ALLOWED, ports: ['2000-4000'] }
    const source = gitSource('file:///x.git', { allow })
    expect(await loadApart({ ...request, source })).toBeDefined()
  })

  test('refuses more than the state would bear', async () => {
    writeFileSync(join(directory, 'one/large'), `A=${'x'.repeat(1_000_000)}\n`)
    const service = (at: number): string => `  s${String(at)}: { image: a, env_file: large }\n`
    const text = `services:\n${Array.from({ length: 18 }, (_, at) => service(at)).join('')}`
    await expect(loadApart(requestOf(text))).rejects.toThrow(/configs and secrets it has 1\d MiB/)
  })
})
