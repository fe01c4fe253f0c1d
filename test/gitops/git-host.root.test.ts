/**
 * A git host with http and ssh, a daemon that follows it: what is pushed runs, what is bad goes, what is forged never comes,
 * and a daemon that is killed with SIGKILL in the middle of each gets to the same end.
 */
import { createHmac } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { execa } from 'execa'
import type { GitSource } from '../../src/api/gitops-types.ts'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'
import { createRepository, hasGit, type GitRepository } from '../sources/git-server.ts'
import { hasGitHost, startGitHost, type GitHost } from './git-host.ts'
import { gitSource, untilSource } from './git-source.ts'

const canRun = process.getuid?.() === 0 && hasGit && hasGitHost
const HOOKS = '127.0.0.1:9180'
const SECRET = 'not told to anybody'

const stackOf = (command: string): string =>
  `services:\n  web:\n    image: host:sh,sleep\n    stop_grace_period: 0s\n    command: [sh, -c, '${command}']\n`
const good = (word: string): string => stackOf(`: ${word}; exec sleep 1000`)

describe.skipIf(!canRun)('a git host is followed', { timeout: 120_000 }, () => {
  let daemon: DaemonFixture
  let repository: GitRepository
  let host: GitHost
  beforeAll(async () => {
    repository = createRepository()
    daemon = await startDaemonFixture({ environment: { TSSTACK_WEBHOOK_LISTEN: HOOKS } })
    host = await startGitHost(repository.directory, daemon.netns)
  })
  afterAll(async () => {
    try {
      for (const { name } of await daemon.client.gitSources())
        await daemon.client.removeGitSource(name)
    } finally {
      await host.close()
      await daemon.close()
      repository.close()
    }
  })

  const follow = async (url: string, parts: Partial<GitSource> = {}): Promise<void> => {
    const { passwordFile, sshKeyFile, knownHostsFile } = host
    const login = url.startsWith('http') ? { passwordFile } : { sshKeyFile, knownHostsFile }
    await daemon.client.addGitSource(gitSource(url, { ...login, ...parts }))
  }
  const untilAt = async (commit: string): Promise<void> => {
    await untilSource(
      daemon,
      `at ${commit}`,
      ({ ready, applied }) => ready === 'True' && applied?.commit === commit,
    )
  }
  const hook = async (): Promise<void> => {
    const body = '{"ref":"refs/heads/main"}'
    const mac = createHmac('sha256', SECRET).update(body).digest('hex')
    const words = ['-sf', '-H', `X-Hub-Signature-256: sha256=${mac}`, '-d', body]
    const url = `http://${HOOKS}/hooks/shop`
    await execa('nsenter', [`--net=${daemon.netns}`, 'curl', ...words, url])
  }
  const killAndStart = async (): Promise<void> => {
    await daemon.kill('SIGKILL')
    await daemon.start()
  }
  const command = async (): Promise<string> => {
    const { command } = await daemon.container('shop', 'web')
    return command
  }

  test('by http within the interval; a kill in the fetch leaves no git behind and is made good', async () => {
    await follow(host.httpUrl, { intervalSeconds: 1 })
    await untilAt(repository.commit({ 'stack.yaml': good('one') }))
    host.pause()
    const second = repository.commit({ 'stack.yaml': good('two') })
    const gits = (): readonly unknown[] =>
      daemon.others().filter(({ command }) => command.includes('ls-remote'))
    await eventually('a git that waits', () => gits().length > 0)
    await daemon.kill('SIGKILL')
    await eventually('the end of git', () => gits().length === 0)
    host.goOn()
    await daemon.start()
    await untilAt(second)
    expect(await command()).toContain(': two;')
  })

  test('at once by a webhook, killed while it is applied', async () => {
    await follow(host.httpUrl, { webhookSecret: SECRET, monitorSeconds: 1 })
    const commit = repository.commit({ 'stack.yaml': good('three') })
    await hook()
    await untilSource(daemon, 'being changed', ({ reason }) => reason === 'Progressing')
    await killAndStart()
    await untilAt(commit)
    expect(await command()).toContain(': three;')
  })

  test('a bad commit is rolled back and held, killed on the way back', async () => {
    await follow(host.httpUrl, { webhookSecret: SECRET, monitorSeconds: 1 })
    const before = repository.git('rev-parse', 'HEAD')
    const bad = repository.commit({ 'stack.yaml': stackOf('sleep 0.2; exit 3') })
    await hook()
    await untilSource(daemon, 'held or being changed', ({ ready }) => ready !== 'True')
    await killAndStart()
    const back = await untilSource(daemon, 'rolled back', ({ reason }) => reason === 'RolledBack')
    expect(back).toMatchObject({ held: { commit: bad }, applied: { commit: before } })
    expect(await command()).toContain(': three;')
    expect(await daemon.client.syncGitSource('shop')).toMatchObject({ reason: 'RolledBack' })
  })

  test('by ssh, whose host must be known; a forged commit is refused', async () => {
    await follow(host.sshUrl, { knownHostsFile: host.wrongHostsFile })
    const unknown = await daemon.client.syncGitSource('shop')
    expect(unknown).toMatchObject({ ready: 'False', reason: 'FetchFailed' })
    const [ours, theirs] = ['ours', 'theirs'].map((name) => {
      const file = join(repository.directory, name)
      spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file])
      return { file, text: readFileSync(`${file}.pub`, 'utf8') }
    })
    const signed = (key = '', word = ''): string => {
      repository.commit({ 'stack.yaml': good(word) })
      const settings = ['-c', 'gpg.format=ssh', '-c', `user.signingkey=${key}`]
      repository.git(...settings, 'commit', '--quiet', '--amend', '-S', '-m', word)
      repository.git('push', '--quiet', '--force', 'origin', 'main')
      return repository.git('rev-parse', 'HEAD')
    }
    const trusted = signed(ours?.file, 'four')
    await follow(host.sshUrl, { verifyKeys: [ours?.text ?? ''] })
    await untilAt(trusted)
    const forged = signed(theirs?.file, 'five')
    expect(await daemon.client.syncGitSource('shop')).toMatchObject({ held: { commit: forged } })
    await killAndStart()
    const refused = await daemon.client.syncGitSource('shop')
    expect(refused).toMatchObject({ reason: 'VerificationFailed', applied: { commit: trusted } })
    expect(await command()).toContain(': four;')
  })

  test('the password is in no answer and no log', async () => {
    const shown = JSON.stringify(await daemon.client.gitSources()) + daemon.log()
    const [, secret = ''] = host.password.split(':')
    expect(shown).not.toContain(secret)
    expect(shown).not.toContain(Buffer.from(host.password).toString('base64'))
  })
})
