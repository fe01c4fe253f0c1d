/** The daemon is killed at any moment of a pass; what comes after goes on to the same end. A webhook makes it look at once. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createHmac } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { execa } from 'execa'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { createRepository, hasGit, type GitRepository } from '../sources/git-server.ts'
import { gitSource, untilSource } from './git-source.ts'

const canRun = process.getuid?.() === 0 && hasGit
/** Milliseconds after a commit: in the fetch, the apply, the wait or the way back, as it comes; git-host.root.test.ts aims. */
const MOMENTS = [300]
const HOOKS = '127.0.0.1:9180'

const stackOf = (command: string): string =>
  `services:\n  web:\n    image: host:sh,sleep\n    stop_grace_period: 0s\n    command: [sh, -c, '${command}']\n`
const GOOD = 'exec sleep 1000'

describe.skipIf(!canRun)('gitops survives', { timeout: 120_000 }, () => {
  let daemon: DaemonFixture
  let repository: GitRepository
  let programs = ''
  beforeAll(async () => {
    programs = mkdtempSync(join(tmpdir(), 'tsstack-programs-'))
    // As git, and notes what it is called with.
    const script = `#!/bin/sh\nprintf '%s\\n' "$*" >>'${programs}/calls'\nexec /usr/bin/git "$@"\n`
    writeFileSync(join(programs, 'git'), script)
    chmodSync(join(programs, 'git'), 0o755)
    const PATH = `${programs}:${process.env['PATH'] ?? ''}`
    daemon = await startDaemonFixture({ environment: { TSSTACK_WEBHOOK_LISTEN: HOOKS, PATH } })
  })
  afterAll(async () => {
    await daemon.close()
    rmSync(programs, { recursive: true })
  })
  beforeEach(() => {
    repository = createRepository()
  })
  afterEach(async () => {
    for (const { name } of await daemon.client.gitSources())
      await daemon.client.removeGitSource(name)
    await daemon.down('shop')
    repository.close()
  })

  const follow = async (parts: Parameters<typeof gitSource>[1] = {}): Promise<void> => {
    repository.commit({ 'stack.yaml': stackOf(GOOD) })
    await daemon.client.addGitSource(gitSource(`file://${repository.path}`, parts))
    await untilSource(daemon, 'ready', ({ ready }) => ready === 'True')
  }
  const killAfter = async (moment: number): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, moment))
    await daemon.kill('SIGKILL')
    await daemon.start()
  }

  test('a kill at any moment: a good commit comes to run, a bad one is rolled back', async () => {
    await follow({ intervalSeconds: 1, monitorSeconds: 0.3 })
    for (const [index, moment] of MOMENTS.entries()) {
      const good = repository.commit({ 'stack.yaml': stackOf(`: ${String(index)}; ${GOOD}`) })
      await killAfter(moment)
      const done = await untilSource(
        daemon,
        'at the good commit',
        ({ ready, applied }) => ready === 'True' && applied?.commit === good,
      )
      expect(done.lastGood?.commit).toBe(good)

      const bad = repository.commit({
        'stack.yaml': stackOf(`sleep 0.2; exit ${String(index + 1)}`),
      })
      await killAfter(moment)
      const back = await untilSource(
        daemon,
        'back at the good commit',
        ({ reason, held }) => reason === 'RolledBack' && held?.commit === bad,
      )
      expect(back.applied?.commit).toBe(good)
      const web = await daemon.container('shop', 'web')
      expect(web).toMatchObject({ state: 'running' })
      expect(web.command).toContain(`: ${String(index)};`)
    }
  })

  test('what is started again and again is rolled back long before the time is over', async () => {
    await follow({ healthTimeoutSeconds: 600, monitorSeconds: 1 })
    repository.commit({ 'stack.yaml': `${stackOf('exit 3')}    restart: always\n` })
    const back = await daemon.client.syncGitSource('shop')
    expect(back).toMatchObject({ reason: 'RolledBack', held: { reason: 'HealthCheckFailed' } })
    expect(back.message).toContain('was started again by its restart policy')
    expect((await daemon.container('shop', 'web')).state).toBe('running')
  })

  test('a signed webhook has the repository looked at now, another one does not; a storm is one look', async () => {
    const webhookSecret = 'not told to anybody'
    await follow({ webhookSecret })
    const commit = repository.commit({ 'stack.yaml': stackOf(`: new; ${GOOD}`) })
    const body = '{"ref":"refs/heads/main"}'
    const hook = async (secret: string, times = 1): Promise<string> => {
      const mac = createHmac('sha256', secret).update(body).digest('hex')
      const header = `X-Hub-Signature-256: sha256=${mac}`
      const words = ['-s', '-w', '%{http_code}', '-H', header, '-d', body]
      const post = ['-o', '/dev/null', `http://${HOOKS}/hooks/shop`]
      const posts = Array.from({ length: times }, () => post).flat()
      return (await execa('nsenter', [`--net=${daemon.netns}`, 'curl', ...words, ...posts])).stdout
    }
    const calls = join(programs, 'calls')
    expect(await hook('something else')).toBe('401')
    rmSync(calls)
    expect(await hook(webhookSecret, 100)).toBe('202'.repeat(100))
    await untilSource(
      daemon,
      'at the new commit',
      ({ ready, applied }) => ready === 'True' && applied?.commit === commit,
    )
    const looks = existsSync(calls) ? readFileSync(calls, 'utf8').match(/ ls-remote /g) : []
    expect(looks?.length).toBeLessThan(10)
    expect(JSON.stringify(await daemon.client.gitSources())).not.toContain(webhookSecret)
  })
})
