/** A registry, a git host, a daemon: a newer tag becomes a commit, and the commit becomes what runs. */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GitSource, GitSourceStatus, ImageUpdates } from '../../src/api/gitops-types.ts'
import { collect, startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { missingPrograms, startRegistry, type RegistryFixture } from '../registry-fixture.ts'
import { createRepository, hasGit, type GitRepository } from '../sources/git-server.ts'
import { eventually } from '../eventually.ts'
import { hasGitHost, makeHostCertificate, startGitHost, type GitHost } from './git-host.ts'
import { gitSource } from './git-source.ts'
import { startNotificationReceiver, type NotificationReceiver } from './notification-receiver.ts'
import type { Service } from '../../src/spec/stack.ts'

const without = missingPrograms('docker-registry')
const canRun = process.getuid?.() === 0 && hasGit && hasGitHost && without === ''
const UPDATES: ImageUpdates = {
  intervalSeconds: 3600,
  author: 'Robot <robot@example.com>',
  message: 'Update {changes}',
}

describe.skipIf(!canRun)(`newer images are written back${without}`, { timeout: 60_000 }, () => {
  let daemon: DaemonFixture
  let registry: RegistryFixture
  let repository: GitRepository
  let host: GitHost
  let receiver: NotificationReceiver
  beforeAll(async () => {
    repository = createRepository()
    const certificate = makeHostCertificate(repository.directory)
    daemon = await startDaemonFixture({ environment: { SSL_CERT_FILE: certificate.authority } })
    host = await startGitHost(repository.directory, daemon.netns, certificate)
    receiver = await startNotificationReceiver(daemon.netns)
    registry = await startRegistry({ netns: daemon.netns })
    const seed = (image: string): Service => ({ image, command: ['sleep', '0'] })
    const services = { one: seed('host:sh,sleep'), other: seed('host:sh,sleep,cat') }
    await daemon.up('maker', { services })
    await daemon.down('maker')
    await publish('1.0.0')
  })
  afterAll(async () => {
    for (const { name } of await daemon.client.gitSources())
      await daemon.client.removeGitSource(name)
    await receiver.close()
    await host.close()
    await registry.close()
    await daemon.close()
    repository.close()
  })

  const image = (tag: string): string => `${registry.host}/shop:${tag}`
  const publish = async (tag: string, of = 'host:sh,sleep'): Promise<void> => {
    await daemon.client.tagImage(of, image(tag))
    await collect(daemon.client.pushImages({ references: [image(tag)] }))
  }
  const stackOf = (
    tag: string,
    command = 'exec sleep 1000',
    policy = 'semver: ^1',
  ): string => `# shop
services:
  web:
    image: ${image(tag)}   # follows ^1
    command: [sh, -c, '${command}']
    stop_grace_period: 0s
    x-tsstack: { image_policy: { ${policy} } }
`
  const follow = async (
    parts: Partial<GitSource> = {},
    url = `file://${repository.path}`,
  ): Promise<GitSourceStatus> => {
    const source = gitSource(url, { imageUpdates: UPDATES, ...parts })
    await daemon.client.addGitSource(source)
    return daemon.client.syncGitSource('shop')
  }
  const sync = (): Promise<GitSourceStatus> => daemon.client.syncGitSource('shop')
  const head = (path: string): string =>
    repository.git(`--git-dir=${repository.path}`, 'show', `main:${path}`)
  const running = async (): Promise<string> => (await daemon.container('shop', 'web')).image

  test('a newer tag within the range is committed, applied, and not written twice', async () => {
    const first = repository.commit({ 'stack.yaml': stackOf('1.0.0') })
    const settled = await follow()
    expect(settled).toMatchObject({ ready: 'True', applied: { commit: first } })
    expect(settled.imageUpdates?.pushed).toBeUndefined()
    await publish('1.1.0')
    await publish('2.0.0')
    const updated = await sync()
    const { pushed } = updated.imageUpdates ?? {}
    expect(updated).toMatchObject({
      ready: 'True',
      applied: { commit: pushed?.commit, subject: `Update web ${image('1.1.0')}`, author: 'Robot' },
      imageUpdates: { pushed: { changes: [`web: ${image('1.0.0')} -> ${image('1.1.0')}`] } },
    })
    expect(`${head('stack.yaml')}\n`).toBe(stackOf('1.1.0'))
    expect(await running()).toBe(image('1.1.0'))
    expect((await sync()).imageUpdates?.pushed).toEqual(pushed)
  })

  test('what is taken back is not written again; something newer is, when changes may be made', async () => {
    repository.git('fetch', '--quiet', 'origin')
    repository.git('reset', '--quiet', '--hard', 'origin/main')
    const reverted = repository.commit({ 'stack.yaml': stackOf('1.0.0') })
    const left = await sync()
    expect(left).toMatchObject({ ready: 'True', applied: { commit: reverted } })
    expect(left.imageUpdates?.images).toMatchObject([
      { newer: image('1.1.0'), message: expect.stringContaining('was written') as string },
    ])
    await publish('1.2.0')
    const frozen = await follow({ freezes: ['* * * * * 1h'] })
    expect(frozen.imageUpdates?.images).toMatchObject([{ newer: image('1.2.0') }])
    expect(frozen).toMatchObject({ applied: { commit: reverted } })
    await follow({ approve: 'manual' })
    const waiting = await sync()
    expect(waiting).toMatchObject({ reason: 'AwaitingApproval', applied: { commit: reverted } })
    expect(waiting.pending?.text).toContain(image('1.2.0'))
    await daemon.client.approveGitSource('shop')
    expect(await running()).toBe(image('1.2.0'))
  })

  test('a fixed tag is followed by its digest', async () => {
    repository.git('fetch', '--quiet', 'origin')
    repository.git('reset', '--quiet', '--hard', 'origin/main')
    await publish('edge')
    repository.commit({ 'stack.yaml': stackOf('edge', 'exec sleep 1000', 'digest: true') })
    const digests = new Set<string>()
    for (const of of ['host:sh,sleep', 'host:sh,sleep,cat']) {
      await publish('edge', of)
      expect(await follow()).toMatchObject({ ready: 'True', reason: 'Synced' })
      const [digest = ''] = /sha256:[0-9a-f]{64}/.exec(head('stack.yaml')) ?? []
      digests.add(digest)
      expect(head('stack.yaml')).toContain(`image: ${image('edge')}@${digest}   # follows`)
    }
    expect(digests.size).toBe(2)
  })

  /** The repository has this, and runs it. */
  const settle = async (tag: string): Promise<void> => {
    repository.git('fetch', '--quiet', 'origin')
    repository.git('reset', '--quiet', '--hard', 'origin/main')
    repository.commit({ 'stack.yaml': stackOf(tag) })
    expect(await follow()).toMatchObject({ ready: 'True', reason: 'Synced' })
  }

  test('a push that is refused is shown, and told once for each reason', async () => {
    await settle('1.2.0')
    await publish('1.2.1')
    const hook = join(repository.path, 'hooks/pre-receive')
    mkdirSync(join(repository.path, 'hooks'), { recursive: true })
    const refuse = (reason: string): void => {
      writeFileSync(hook, `#!/bin/sh\necho '${reason}' >&2\nexit 1\n`)
      chmodSync(hook, 0o755)
    }
    refuse('main is protected')
    const refused = await follow({ notify: [receiver.url] })
    expect(refused).toMatchObject({ ready: 'True', reason: 'Synced' })
    expect(refused.imageUpdates?.message).toMatch(/Cannot push to "main": .*main is protected/)
    await sync()
    refuse('the disk is full')
    await sync()
    rmSync(hook)
    const pushed = await sync()
    expect(pushed.imageUpdates?.message).toBeUndefined()
    expect(await running()).toBe(image('1.2.1'))
    await eventually('the news of the commit', () =>
      receiver.told().find(({ commit }) => commit === pushed.applied?.commit),
    )
    const failures = receiver.told().filter(({ reason }) => reason === 'ImageUpdateFailed')
    expect(failures).toMatchObject([
      { ready: 'True', message: expect.stringContaining('main is protected') as string },
      { ready: 'True', message: expect.stringContaining('the disk is full') as string },
    ])
  })

  test('pushed over https, to a host of an authority of its own, by who has the password', async () => {
    await settle('1.2.1')
    await publish('1.2.2')
    const wrong = join(repository.directory, 'wrong-password')
    writeFileSync(wrong, 'deploy:something secret')
    const { passwordFile } = host
    const updates = { ...UPDATES, passwordFile: wrong }
    const refused = await follow({ passwordFile, imageUpdates: updates }, host.httpsUrl)
    expect(refused).toMatchObject({ ready: 'True', reason: 'Synced' })
    expect(refused.imageUpdates?.message).toContain('refuses the login')
    expect(JSON.stringify(refused)).not.toContain('something secret')
    const pushed = await follow({ passwordFile }, host.httpsUrl)
    expect(pushed.imageUpdates).toMatchObject({ pushed: { commit: pushed.applied?.commit } })
    expect(head('stack.yaml')).toContain(image('1.2.2'))
    expect(await running()).toBe(image('1.2.2'))
  })

  test('pushed over ssh, by a key that may write, beside one that may only read', async () => {
    await settle('1.2.2')
    await publish('1.2.3')
    const { knownHostsFile, sshKeyFile, readOnlyKeyFile } = host
    const login = { sshKeyFile: readOnlyKeyFile, knownHostsFile, ref: 'main' }
    const refused = await follow(login, host.sshUrl)
    expect(refused).toMatchObject({ ready: 'True', reason: 'Synced' })
    expect(refused.imageUpdates?.message).toMatch(/Cannot push to "main": git: .+/)
    const updates = { ...UPDATES, sshKeyFile }
    const pushed = await follow({ ...login, imageUpdates: updates }, host.sshUrl)
    expect(pushed.imageUpdates).toMatchObject({ pushed: { commit: pushed.applied?.commit } })
    expect(await running()).toBe(image('1.2.3'))
  })

  test('a bad commit that is held is not answered by another one', async () => {
    repository.git('fetch', '--quiet', 'origin')
    repository.git('reset', '--quiet', '--hard', 'origin/main')
    const bad = repository.commit({ 'stack.yaml': stackOf('1.2.0', 'exit 3') })
    await publish('1.3.0')
    const held = await follow()
    expect(held).toMatchObject({ reason: 'RolledBack', held: { commit: bad } })
    expect(await sync()).toMatchObject({ held: { commit: bad } })
    expect(head('stack.yaml')).toContain(image('1.2.0'))
  })
})
