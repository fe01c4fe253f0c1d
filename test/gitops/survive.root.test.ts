/** The daemon is killed at any moment of a pass; what comes after goes on to the same end. A webhook makes it look at once. */
import { createHmac } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { execa } from 'execa'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { createRepository, hasGit, type GitRepository } from '../sources/git-server.ts'
import { gitSource, untilSource } from './git-source.ts'

const canRun = process.getuid?.() === 0 && hasGit
/** Milliseconds after a commit: in the fetch, the apply, the wait, the way back. */
const MOMENTS = [100, 700, 2000]
const HOOKS = '127.0.0.1:9180'

const stackOf = (command: string): string =>
  `services:\n  web:\n    image: host:sh,sleep\n    stop_grace_period: 0s\n    command: [sh, -c, '${command}']\n`
const GOOD = 'exec sleep 1000'

describe.skipIf(!canRun)('gitops survives', { timeout: 300_000 }, () => {
  let daemon: DaemonFixture
  let repository: GitRepository
  beforeEach(async () => {
    repository = createRepository()
    daemon = await startDaemonFixture({ environment: { TSSTACK_WEBHOOK_LISTEN: HOOKS } })
  })
  afterEach(async () => {
    for (const { name } of await daemon.client.gitSources())
      await daemon.client.removeGitSource(name)
    repository.close()
    await daemon.close()
  })

  const follow = async (parts: Parameters<typeof gitSource>[1] = {}): Promise<void> => {
    repository.commit({ 'stack.yaml': stackOf(GOOD) })
    await daemon.client.addGitSource(gitSource(`file://${repository.path}`, parts))
    await untilSource(daemon, 'ready', ({ ready }) => ready === 'True')
  }

  test('a kill at any moment: a good commit comes to run, a bad one is rolled back', async () => {
    await follow({ intervalSeconds: 1, monitorSeconds: 1 })
    for (const [index, moment] of MOMENTS.entries()) {
      const good = repository.commit({ 'stack.yaml': stackOf(`: ${String(index)}; ${GOOD}`) })
      await new Promise((resolve) => setTimeout(resolve, moment))
      await daemon.kill('SIGKILL')
      await daemon.start()
      const done = await untilSource(
        daemon,
        'at the good commit',
        ({ ready, applied }) => ready === 'True' && applied?.commit === good,
      )
      expect(done.lastGood?.commit).toBe(good)

      const bad = repository.commit({
        'stack.yaml': stackOf(`sleep 0.5; exit ${String(index + 1)}`),
      })
      await new Promise((resolve) => setTimeout(resolve, moment))
      await daemon.kill('SIGKILL')
      await daemon.start()
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

  test('a first commit that is bad stays held, and is tried again when somebody says so', async () => {
    const { client } = daemon
    repository.commit({ 'stack.yaml': stackOf('exit 3') })
    await client.addGitSource(gitSource(`file://${repository.path}`))
    const failed = await untilSource(daemon, 'held', ({ held }) => held !== undefined)
    const { id } = await daemon.container('shop', 'web')
    expect(await client.syncGitSource('shop')).toMatchObject({ held: failed.held, ready: 'False' })
    const retried = await client.syncGitSource('shop', { force: true })
    expect(retried).toMatchObject({ reason: 'HealthCheckFailed' })
    expect((await daemon.container('shop', 'web')).id).toBe(id)
  })

  test('a signed webhook has the repository looked at now, another one does not', async () => {
    const webhookSecret = 'not told to anybody'
    await follow({ webhookSecret })
    const commit = repository.commit({ 'stack.yaml': stackOf(`: new; ${GOOD}`) })
    const body = '{"ref":"refs/heads/main"}'
    const hook = async (secret: string): Promise<string> => {
      const mac = createHmac('sha256', secret).update(body).digest('hex')
      const header = `X-Hub-Signature-256: sha256=${mac}`
      const words = ['-s', '-o', '/dev/null', '-w', '%{http_code}', '-H', header, '-d', body]
      const url = `http://${HOOKS}/hooks/shop`
      return (await execa('nsenter', [`--net=${daemon.netns}`, 'curl', ...words, url])).stdout
    }
    expect(await hook('something else')).toBe('401')
    expect(await hook(webhookSecret)).toBe('202')
    await untilSource(
      daemon,
      'at the new commit',
      ({ ready, applied }) => ready === 'True' && applied?.commit === commit,
    )
    expect(JSON.stringify(await daemon.client.gitSources())).not.toContain(webhookSecret)
  })

  test('approval: the change waits with its plan until somebody agrees to just this one', async () => {
    await follow()
    const { id } = await daemon.container('shop', 'web')
    const { client } = daemon
    await client.addGitSource(gitSource(`file://${repository.path}`, { approve: 'manual' }))
    repository.commit({ 'stack.yaml': stackOf(`: new; ${GOOD}`) })
    expect(await client.syncGitSource('shop')).toMatchObject({ reason: 'AwaitingApproval' })
    const { text, digest = '' } = await client.pendingChange('shop')
    expect(text).toContain('replace container shop-web-1')
    expect((await daemon.container('shop', 'web')).id).toBe(id)
    await expect(client.approveGitSource('shop', 'f'.repeat(64))).rejects.toThrow('another change')
    expect(await client.approveGitSource('shop', digest)).toMatchObject({ ready: 'True' })
    expect((await daemon.container('shop', 'web')).id).not.toBe(id)
  })

  test('a source that is empty, or has lost every service, takes nothing away', async () => {
    await follow({ prune: true })
    const other = stackOf(GOOD).replace('  web:', '  other:')
    repository.commit({ 'stack.yaml': other })
    const emptied = await daemon.client.syncGitSource('shop')
    expect(emptied).toMatchObject({ ready: 'False', reason: 'Refused' })
    expect(emptied.message).toContain('remove every service')
    repository.git('rm', '--quiet', 'stack.yaml')
    repository.commit({ README: 'nothing here' })
    expect((await daemon.client.syncGitSource('shop')).message).toContain(
      'Cannot find a stack file',
    )
    expect((await daemon.container('shop', 'web')).state).toBe('running')
  })
})
