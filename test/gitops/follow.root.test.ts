/** A real repository, a real daemon: what is pushed runs, and what is bad does not stay. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'
import { createRepository, hasGit, type GitRepository } from '../sources/git-server.ts'
import { gitSource, untilSource } from './git-source.ts'

const canRun = process.getuid?.() === 0 && hasGit
const TIMEOUT_MS = 120_000

function stackOf(greeting: string, more = ''): string {
  return `services:
  web:
    image: host:sh,sleep,cat
    command: [sh, -c, 'exec sleep 1000']
    stop_grace_period: 0s
    environment: { GREETING: ${greeting} }
    volumes: ['./conf:/conf']
${more}`
}

describe.skipIf(!canRun)('a source is followed', { timeout: TIMEOUT_MS }, () => {
  let daemon: DaemonFixture
  let repository: GitRepository
  let repo = ''
  beforeEach(async () => {
    repository = createRepository()
    repo = `file://${repository.path}`
    daemon = await startDaemonFixture()
  })
  afterEach(async () => {
    for (const { name } of await daemon.client.gitSources())
      await daemon.client.removeGitSource(name)
    repository.close()
    await daemon.close()
  })

  const greeting = async (): Promise<string> => {
    const { id } = await daemon.container('shop', 'web')
    return daemon.sh(id, 'echo $GREETING $(cat /conf/app.conf)')
  }

  test('from the first commit to the next, and to a fixed one after a bad one', async () => {
    const first = repository.commit({ 'stack.yaml': stackOf('one'), 'conf/app.conf': 'a\n' })
    await daemon.client.addGitSource(gitSource(repo))
    const ready = await untilSource(daemon, 'ready', ({ ready }) => ready === 'True')
    expect(ready).toMatchObject({ reason: 'Synced', applied: { commit: first, subject: 'change' } })
    expect(await greeting()).toBe('one a')
    const { id } = await daemon.container('shop', 'web')

    // A commit that touches nothing that the stack reads changes nothing.
    const other = repository.commit({ 'README.md': 'hello\n' })
    const same = await daemon.client.syncGitSource('shop')
    expect(same).toMatchObject({ ready: 'True', observedCommit: other, applied: { commit: other } })
    expect((await daemon.container('shop', 'web')).id).toBe(id)

    // A file that is mounted counts.
    repository.commit({ 'conf/app.conf': 'b\n' })
    await daemon.client.syncGitSource('shop')
    expect(await greeting()).toBe('one b')

    const bad = repository.commit({
      'stack.yaml': stackOf('two').replace('exec sleep 1000', 'exit 3'),
    })
    const back = await daemon.client.syncGitSource('shop')
    expect(back).toMatchObject({
      ready: 'False',
      reason: 'RolledBack',
      held: { commit: bad, reason: 'HealthCheckFailed' },
      applied: { commit: back.lastGood?.commit },
    })
    expect(back.message).toContain('exited with code 3')
    expect(await greeting()).toBe('one b')

    // It is held: another look changes nothing.
    const before = (await daemon.container('shop', 'web')).id
    expect(await daemon.client.syncGitSource('shop')).toMatchObject({ reason: 'RolledBack' })
    expect((await daemon.container('shop', 'web')).id).toBe(before)

    const fixed = repository.commit({ 'stack.yaml': stackOf('three') })
    const good = await daemon.client.syncGitSource('shop')
    expect(good).toMatchObject({ ready: 'True', applied: { commit: fixed } })
    expect(good.held).toBeUndefined()
    expect(await greeting()).toBe('three b')

    // What nobody needs any more is gone: one checkout, one content.
    const checkouts = join(daemon.stateDir, 'gitops/checkouts/shop')
    await eventually('the collection of what is old', () => {
      const [key = ''] = readdirSync(checkouts)
      const contents = readdirSync(join(daemon.stateDir, 'gitops/content'))
      return readdirSync(join(checkouts, key)).length === 1 && contents.length === 1
    })
  })

  test('what the policy refuses, and what cannot be read, is held with its line', async () => {
    repository.commit({ 'stack.yaml': stackOf('one', '    privileged: true\n'), 'conf/a': '' })
    await daemon.client.addGitSource(gitSource(repo))
    const refused = await untilSource(daemon, 'refused', ({ ready }) => ready === 'False')
    expect(refused.reason).toBe('Invalid')
    expect(refused.message).toContain('stack.yaml:8:17: services.web.privileged: asks for a')
    expect(await daemon.client.containers({ all: true })).toEqual([])

    repository.commit({ 'stack.yaml': stackOf('one', '    env_file: [/etc/hostname]\n') })
    const outside = await daemon.client.syncGitSource('shop')
    expect(outside.message).toContain('it is outside the repository')

    repository.commit({ 'stack.yaml': stackOf('one') })
    expect(await daemon.client.syncGitSource('shop')).toMatchObject({ ready: 'True' })
  })
})
