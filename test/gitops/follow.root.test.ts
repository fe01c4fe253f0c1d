/** A real repository, a real daemon: what is pushed runs, and what is bad does not stay. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { GitSource, GitSourceStatus } from '../../src/api/gitops-types.ts'
import { collect, startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { commandLine } from '../e2e/command-line.ts'
import { eventually } from '../eventually.ts'
import { createRepository, hasGit, type GitRepository } from '../sources/git-server.ts'
import { gitSource, untilSource } from './git-source.ts'

const canRun = process.getuid?.() === 0 && hasGit

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

/** A service of one command. */
const service = (name: string, command = 'exec sleep 1000', more = ''): string =>
  `  ${name}:\n    image: host:sh,sleep,cat\n    stop_grace_period: 0s\n    command: [sh, -c, '${command}']\n${more}`

describe.skipIf(!canRun)('a source is followed', { timeout: 60_000 }, () => {
  let daemon: DaemonFixture
  let repository: GitRepository
  let repo = ''
  beforeAll(async () => {
    daemon = await startDaemonFixture()
  })
  afterAll(async () => {
    await daemon.close()
  })
  beforeEach(() => {
    repository = createRepository()
    repo = `file://${repository.path}`
  })
  afterEach(async () => {
    for (const { name, stack } of await daemon.client.gitSources()) {
      await daemon.client.removeGitSource(name)
      await daemon.down(stack, { volumes: true })
    }
    repository.close()
  })

  const follow = async (parts: Partial<GitSource> = {}): Promise<GitSourceStatus> => {
    const source = gitSource(repo, parts)
    await daemon.client.addGitSource(source)
    return daemon.client.syncGitSource(source.name)
  }
  const sync = (): Promise<GitSourceStatus> => daemon.client.syncGitSource('shop')
  const idOf = async (name = 'web', stack = 'shop'): Promise<string> =>
    (await daemon.container(stack, name)).id
  const greeting = async (): Promise<string> =>
    daemon.sh(await idOf(), 'echo $GREETING $(cat /conf/app.conf)')
  const services = async (): Promise<string[]> =>
    (await daemon.client.containers({ all: true })).map(({ service }) => service).sort()

  test('from the first commit to the next, and to a fixed one after a bad one', async () => {
    const first = repository.commit({ 'stack.yaml': stackOf('one'), 'conf/app.conf': 'a\n' })
    const ready = await follow()
    expect(ready).toMatchObject({ reason: 'Synced', applied: { commit: first, subject: 'change' } })
    expect(await greeting()).toBe('one a')
    const id = await idOf()

    // A commit that touches nothing that the stack reads changes nothing.
    const other = repository.commit({ 'README.md': 'hello\n' })
    expect(await sync()).toMatchObject({
      ready: 'True',
      observedCommit: other,
      applied: { commit: other },
    })
    expect(await idOf()).toBe(id)

    // A file that is mounted counts.
    repository.commit({ 'conf/app.conf': 'b\n' })
    await sync()
    expect(await greeting()).toBe('one b')

    const bad = repository.commit({
      'stack.yaml': stackOf('two').replace('exec sleep 1000', 'exit 3'),
    })
    const back = await sync()
    expect(back).toMatchObject({
      ready: 'False',
      reason: 'RolledBack',
      held: { commit: bad, reason: 'HealthCheckFailed' },
      applied: { commit: back.lastGood?.commit },
    })
    expect(back.message).toContain('exited with code 3')
    expect(await greeting()).toBe('one b')

    // It is held: another look changes nothing.
    const before = await idOf()
    expect(await sync()).toMatchObject({ reason: 'RolledBack' })
    expect(await idOf()).toBe(before)

    const fixed = repository.commit({ 'stack.yaml': stackOf('three') })
    const good = await sync()
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
    const refused = await follow()
    expect(refused.reason).toBe('Invalid')
    expect(refused.message).toContain('stack.yaml:8:17: services.web.privileged: asks for a')
    expect(await services()).toEqual([])

    repository.commit({ 'stack.yaml': stackOf('one', '    env_file: [/etc/hostname]\n') })
    expect((await sync()).message).toContain('it is outside the repository')

    repository.commit({ 'stack.yaml': stackOf('one') })
    expect(await sync()).toMatchObject({ ready: 'True' })
  })

  test('a first commit that is bad stays held, and is tried again when somebody says so', async () => {
    repository.commit({ 'stack.yaml': `services:\n${service('web', 'exit 3')}` })
    // A busy machine takes its time until it has ended.
    const { held } = await follow({ monitorSeconds: 1 })
    expect(held).toMatchObject({ reason: 'HealthCheckFailed' })
    const id = await idOf()
    expect(await sync()).toMatchObject({ held, ready: 'False' })
    const retried = await daemon.client.syncGitSource('shop', { force: true })
    expect(retried).toMatchObject({ reason: 'HealthCheckFailed' })
    expect(await idOf()).toBe(id)
  })

  test('several stacks of one repository, one after the other, each with changes of its own', async () => {
    const base = (command: string): string => `services:\n${service('db', command)}`
    repository.commit({
      'base/stack.yaml': base('exit 3'),
      'shop/stack.yaml': `services:\n${service('web')}`,
    })
    expect(await follow({ name: 'base', stack: 'base', path: 'base' })).toMatchObject({
      reason: 'HealthCheckFailed',
    })
    const waiting = await follow({ path: 'shop', dependsOn: ['base'] })
    expect(waiting).toMatchObject({ reason: 'DependencyNotReady', ready: 'False' })
    expect(await services()).toEqual(['db'])
    repository.commit({ 'base/stack.yaml': base('exec sleep 1000') })
    await daemon.client.syncGitSource('base')
    // It does not wait for its interval of an hour.
    await untilSource(daemon, 'ready after what it depends on', ({ ready }) => ready === 'True')
    const ids = [await idOf('db', 'base'), await idOf()]
    repository.commit({ 'shop/stack.yaml': `services:\n${service('web', 'exec sleep 1001')}` })
    await daemon.client.syncGitSource('base')
    expect(await sync()).toMatchObject({ ready: 'True' })
    expect(await idOf('db', 'base')).toBe(ids[0])
    expect(await idOf()).not.toBe(ids[1])
    await expect(
      daemon.client.addGitSource(gitSource(repo, { name: 'thief', stack: 'base' })),
    ).rejects.toThrow('source "base" has stack "base"')
  })

  test('nothing changes while it is suspended or outside of its windows; what is plain is told by diff', async () => {
    const { client } = daemon
    repository.commit({ 'stack.yaml': `services:\n${service('web')}` })
    await follow()
    const id = await idOf()
    await client.suspendGitSource('shop')
    repository.commit({ 'stack.yaml': `services:\n${service('web', 'exec sleep 1001')}` })
    await expect(sync()).rejects.toThrow('it is suspended')
    expect(await client.gitSource('shop')).toMatchObject({ suspended: true, reason: 'Suspended' })
    await client.addGitSource(gitSource(repo, { freezes: ['* * * * * 1h'] }))
    await client.resumeGitSource('shop')
    expect(await sync()).toMatchObject({ reason: 'OutsideWindow', suspended: false })
    expect((await client.pendingChange('shop')).text).toContain('replace container shop-web-1')
    expect(await idOf()).toBe(id)
    // Looked at when the window opens, long before the hour of the interval is over.
    const opens = new Date(Math.ceil(Date.now() / 60_000 + 5) * 60_000)
    const window = `TZ=UTC ${String(opens.getUTCMinutes())} ${String(opens.getUTCHours())} * * * 1m`
    const waiting = await follow({ windows: [window] })
    expect(waiting.message).toContain(`before ${opens.toISOString().slice(0, 16)}Z`)
    const { nextSyncAt = '' } = await client.gitSource('shop')
    expect(Math.abs(Date.parse(nextSyncAt) - opens.getTime())).toBeLessThan(1000)

    expect(await follow({ windows: ['* * * * * 1h'] })).toMatchObject({ ready: 'True' })
    expect((await client.pendingChange('shop')).text).toBe('')
    expect(await idOf()).not.toBe(id)
  })

  test('approval: the change waits with its plan until somebody agrees to just this one', async () => {
    const { client } = daemon
    repository.commit({ 'stack.yaml': `services:\n${service('web')}` })
    await follow()
    const id = await idOf()
    repository.commit({ 'stack.yaml': `services:\n${service('web', 'exec sleep 1001')}` })
    expect(await follow({ approve: 'manual' })).toMatchObject({ reason: 'AwaitingApproval' })
    const { text, digest = '' } = await client.pendingChange('shop')
    expect(text).toContain('replace container shop-web-1')
    expect(await idOf()).toBe(id)
    await expect(client.approveGitSource('shop', 'f'.repeat(64))).rejects.toThrow('another change')
    expect(await client.approveGitSource('shop', digest)).toMatchObject({ ready: 'True' })
    expect(await idOf()).not.toBe(id)
  })

  test('what has left git goes with --prune alone, volumes never; a source that has lost all takes nothing', async () => {
    const volume = '    volumes: ["data:/data"]\n'
    const all = `services:\n${service('web')}${service('db', 'exec sleep 1000', volume)}volumes: { data: }\n`
    repository.commit({ 'stack.yaml': all })
    await follow()
    expect(await services()).toEqual(['db', 'web'])
    repository.commit({ 'stack.yaml': `services:\n${service('web')}` })
    expect(await sync()).toMatchObject({ ready: 'True' })
    expect(await services()).toEqual(['db', 'web'])
    repository.commit({ 'stack.yaml': `services:\n${service('web', 'exec sleep 1001')}` })
    expect(await follow({ prune: true })).toMatchObject({ ready: 'True' })
    expect(await services()).toEqual(['web'])
    expect(existsSync(join(daemon.stateDir, 'volumes/shop_data/_data'))).toBe(true)

    repository.commit({ 'stack.yaml': `services:\n${service('other')}` })
    const emptied = await sync()
    expect(emptied).toMatchObject({ ready: 'False', reason: 'Refused' })
    expect(emptied.message).toContain('remove every service')
    repository.git('rm', '--quiet', 'stack.yaml')
    repository.commit({ README: 'nothing here' })
    expect((await sync()).message).toContain('Cannot find a stack file')
    expect(await services()).toEqual(['web'])
  })

  test('what somebody brings up, or takes down, beside the source is undone; what is stopped by hand stays so', async () => {
    const both = `services:\n${service('web')}${service('side')}`
    repository.commit({ 'stack.yaml': both })
    await follow()
    await collect(daemon.client.lifecycle('shop', { action: 'stop', services: ['side'] }))
    expect(await sync()).toMatchObject({ ready: 'True' })
    expect((await daemon.container('shop', 'side')).state).toBe('exited')

    const other = { image: 'host:sh,sleep,cat', command: ['sleep', '7'], stop_grace_period: '0s' }
    expect(await daemon.up('shop', { services: { web: other } })).toContainEqual(
      expect.objectContaining({
        type: 'warning',
        message: expect.stringContaining('source "shop"') as string,
      }),
    )
    expect(await sync()).toMatchObject({ ready: 'True' })
    expect((await daemon.container('shop', 'web')).command).toContain('exec sleep 1000')
    await daemon.down('shop')
    expect(await sync()).toMatchObject({ ready: 'True' })
    expect(await services()).toEqual(['side', 'web'])

    repository.commit({ 'stack.yaml': `services:\n${service('web')}` })
    await sync()
    expect(await follow({ prune: true })).toMatchObject({ ready: 'True' })
    expect(await services()).toEqual(['web'])
  })

  test('a newer commit ends the wait for health, and what was overtaken is not waited for', async () => {
    const waits = `services:\n${service('web', 'exec sleep 1000', '    healthcheck: { test: [CMD, cat, /nothing], interval: 60s, start_period: 60s }\n')}`
    repository.commit({ 'stack.yaml': waits })
    await daemon.client.addGitSource(gitSource(repo, { healthTimeoutSeconds: 600 }))
    // It is applied as a whole before anything newer counts.
    await eventually('the container that is never healthy', async () => (await services())[0])
    const fixed = repository.commit({ 'stack.yaml': `services:\n${service('web')}` })
    expect(await sync()).toMatchObject({ ready: 'True', applied: { commit: fixed } })
    expect((await daemon.container('shop', 'web')).state).toBe('running')
  })

  test('a job that never ends, or a hook, is waited for no longer than health, nor than something newer', async () => {
    const first = repository.commit({ 'stack.yaml': `services:\n${service('web')}` })
    await follow({ healthTimeoutSeconds: 1 })
    const endless = 'post_start: [{ command: [sleep, "1000"] }]'
    repository.commit({
      'stack.yaml': `services:\n${service('web', 'sleep 999', `    ${endless}\n`)}`,
    })
    const back = await sync()
    expect(back).toMatchObject({ reason: 'RolledBack', applied: { commit: first } })
    expect(back.message).toContain('post_start hook of container "shop-web-1" any longer: 1 s')
    const job = '    depends_on: { job: { condition: service_completed_successfully } }\n'
    const stuck = `services:\n${service('job')}${service('web', 'sleep 998', job)}`
    repository.commit({ 'stack.yaml': stuck })
    await daemon.client.addGitSource(gitSource(repo, { healthTimeoutSeconds: 600, prune: true }))
    await eventually('the job', async () => (await services()).includes('job'))
    const fixed = repository.commit({ 'stack.yaml': `services:\n${service('web')}` })
    expect(await sync()).toMatchObject({ ready: 'True', applied: { commit: fixed } })
    expect(await services()).toEqual(['web'])
  })

  test('the way back has the images that it had, whatever their names mean by then', async () => {
    const name = 'moving:1'
    const stack = (command: string): string =>
      `services:\n${service('web', command)}`.replace('host:sh,sleep,cat', name)
    const seed = { image: 'host:sh,sleep', command: ['sleep', '0'] }
    await daemon.up('seed', {
      services: { one: seed, two: { ...seed, image: 'host:sh,sleep,cat' } },
    })
    await daemon.down('seed')
    await daemon.client.tagImage('host:sh,sleep,cat', name)
    repository.commit({ 'stack.yaml': stack('cat /dev/null && exec sleep 1000') })
    expect(await follow()).toMatchObject({ ready: 'True' })
    await daemon.client.tagImage('host:sh,sleep', name)
    repository.commit({ 'stack.yaml': stack('exit 3') })
    expect(await sync()).toMatchObject({ reason: 'RolledBack' })
    // `cat` is in the first image alone.
    expect(await daemon.sh(await idOf(), 'cat /dev/null && echo there')).toBe('there')
  })

  test('by the command line: exit codes say whether it is ready, and whether a change waits', async () => {
    const tsstack = commandLine(daemon, repository.directory)
    const add = `gitops add shop --repo ${repo} --health-timeout 20s --monitor 0s --approve manual`
    expect((await tsstack.run(`${add} --push-branch updates`)).stderr).toContain(
      '"--push-branch" needs --image-updates',
    )
    repository.commit({ 'stack.yaml': `services:\n${service('web')}` })
    await tsstack.ok(`${add} --image-updates --push-branch updates`)
    expect((await tsstack.run('gitops sync shop')).exitCode).toBe(1)
    const change = await tsstack.run('gitops diff shop')
    expect(change.exitCode).toBe(2)
    expect(change.stdout).toMatch(/create +container shop-web-1/)
    await tsstack.ok('gitops approve shop')
    expect((await tsstack.run('gitops diff shop')).exitCode).toBe(0)
    const status = await tsstack.ok('gitops status shop')
    expect(status).toMatch(/^Ready +True \(Synced\)/m)
    expect(status).toMatch(/^Images +/m)
    expect(status).toMatch(/^Options +--approve manual, --image-updates$/m)
    const again = await tsstack.run(`gitops add shop --repo ${repo} --prune --image-updates`)
    expect(again.stderr).toBe('warning: "shop" is followed without --approve manual from now on')
    expect(await tsstack.ok('gitops ls')).toMatch(/^shop +shop +True +Synced/m)
  })

  test('what a container mounts stays when its source is gone, and cannot be written to', async () => {
    repository.commit({ 'stack.yaml': stackOf('one'), 'conf/app.conf': 'a\n' })
    await follow()
    await daemon.client.removeGitSource('shop')
    expect(await greeting()).toBe('one a')
    const { exitCode } = await daemon.exec(await idOf(), ['sh', '-c', 'echo x > /conf/app.conf'])
    expect(exitCode).not.toBe(0)
    expect(readdirSync(join(daemon.stateDir, 'gitops/content'))).toHaveLength(1)
    await daemon.down('shop')
  })
})
