/** Images by way of a registry, as a user works with them: log in, push, remove, up; policies; what takes room. */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'
import { missingPrograms, startRegistry, type RegistryFixture } from '../registry-fixture.ts'
import { commandLine, jsonOf, type CommandLine } from './command-line.ts'

const without =
  process.getuid?.() === 0
    ? missingPrograms('docker-registry', 'htpasswd')
    : ' (skipped: needs root)'
const scenario = test.skipIf(without !== '')

let daemon: DaemonFixture
let registry: RegistryFixture
let tsstack: CommandLine
let image: string
const env: Record<string, string> = {}

beforeAll(async () => {
  if (without !== '') return
  daemon = await startDaemonFixture()
  registry = await startRegistry({
    netns: daemon.netns,
    user: { name: 'anna', password: 'secret' },
  })
  const directory = path.join(daemon.scratch, 'registry')
  mkdirSync(directory)
  tsstack = commandLine(daemon, directory)
  env['DOCKER_CONFIG'] = path.join(directory, 'docker')
  image = `${registry.host}/team/app:1`
  writeStack('')
})

afterAll(async () => {
  if (without !== '') return
  await registry.close()
  await daemon.close()
})

function writeStack(more: string): void {
  const command = '["sh", "-c", "echo I was pulled; exec sleep 3600"]'
  const service = `image: ${image}\n    command: ${command}\n    stop_signal: SIGKILL\n${more}`
  writeFileSync(
    path.join(tsstack.directory, 'stack.yaml'),
    `name: pulled\nservices:\n  app:\n    ${service}`,
  )
}

scenario(`login, push, remove, up: the container runs what was pushed${without}`, async () => {
  await tsstack.ok('daemon status')
  await daemon.up('maker', { services: { app: { image: 'host:sh,coreutils', command: ['true'] } } })
  await daemon.down('maker')
  await tsstack.ok(`image tag host:sh,coreutils ${image}`)

  const refused = await tsstack.run(`image push ${image}`, { env })
  expect(refused.exitCode).toBe(1)
  expect(refused.stderr).toContain('it wants a login')
  const wrong = await tsstack.run(`login -u anna --password-stdin ${registry.host}`, {
    env,
    input: 'guess\n',
  })
  expect(wrong.exitCode).toBe(1)
  const login = await tsstack.ok(`login -u anna --password-stdin ${registry.host}`, {
    env,
    input: 'secret\n',
  })
  expect(login).toBe('Login Succeeded')
  const pushed = await tsstack.run(`image push ${image}`, { env })
  const digestIn = ({ stderr }: { readonly stderr: string }): string | undefined =>
    /Pushed digest: (sha256:[0-9a-f]{64}) size: \d+/.exec(stderr)?.[1]
  const digest = digestIn(pushed)
  expect(digest).toBeDefined()
  const plain = await tsstack.run(`push --compression none`, { env })
  expect(digestIn(plain)).toMatch(/^sha256/)
  expect(digestIn(plain)).not.toBe(digest)
  expect(digestIn(await tsstack.run(`image push --compression gzip ${image}`, { env }))).toBe(
    digest,
  )
  const repository = image.replace(/:1$/, '')
  expect(await tsstack.ok(`image tags ${repository}`, { env })).toBe('1')
  expect((await tsstack.run(`image tags ${repository}`)).stderr).toContain('it wants a login')
  expect((await tsstack.run(`image tags ${repository}2`, { env })).exitCode).toBe(1)
  await tsstack.ok('image prune -af')
  expect(await tsstack.ok('image ls -q')).toBe('')

  const plan = await tsstack.run('plan', { env })
  expect(plan).toMatchObject({ exitCode: 2 })
  expect(await tsstack.ok('image ls -q')).toBe('') // a plan pulls nothing
  const up = await tsstack.run('up -d', { env })
  expect(up).toMatchObject({ exitCode: 0 })
  expect(up.stderr).toContain(`Image ${image} Pulled`)
  expect(up.stderr).toContain('Pull complete')
  expect(await daemon.logs('pulled')).toEqual(['I was pulled'])
  const [detail] = jsonOf(await tsstack.ok(`image inspect ${image}`)) as unknown as {
    RepoDigests: string[]
  }[]
  expect(detail?.RepoDigests).toEqual([`${repository}@${digest ?? ''}`])
  expect((await tsstack.run(`image rm ${image}`)).stderr).toContain('it is used by')
})

scenario(`pull policies decide when the registry is asked${without}`, async () => {
  const asked = async (words: string): Promise<boolean> => {
    const { stderr, exitCode } = await tsstack.run(words, { env })
    expect(exitCode, stderr).toBe(0)
    return stderr.includes(`Image ${image} Pulling`)
  }
  expect(await asked('up -d')).toBe(false)
  expect(await asked('up -d --pull always')).toBe(true)
  expect(await asked('pull --policy missing')).toBe(false)
  const skipped = await tsstack.run('pull --policy missing', { env })
  expect(skipped.stderr).toContain(`Image ${image} Skipped Image is already present locally`)
  expect(await asked('pull')).toBe(true)
  writeStack('    pull_policy: always\n')
  expect(await asked('up -d')).toBe(true)
  writeStack('    pull_policy: daily\n')
  expect(await asked('up -d')).toBe(false)
  writeStack('    pull_policy: every_1ms\n')
  expect(await asked('up -d')).toBe(true)
  writeStack('    pull_policy: never\n')
  expect(await asked('pull')).toBe(false)
  writeStack(`  own:\n    build: .\n    image: ${registry.host}/team/none:1\n`)
  const built = await tsstack.run('pull', { env })
  expect(built).toMatchObject({ exitCode: 0 })
  expect(built.stderr).toContain('must be built from source by running:\n    tsstack build own')
  writeStack('    pull_policy: never\n')
  await tsstack.ok('down')
  await tsstack.ok(`image rm ${image}`)
  const never = await tsstack.run('up -d', { env })
  expect(never.exitCode).toBe(1)
  expect(never.stderr).toContain('not in the local store')
  const none = `${registry.host}/team/none:1`
  writeStack(`    depends_on: [none]\n  none:\n    image: ${none}\n`)
  expect(await asked('pull app')).toBe(true)
  const withDeps = await tsstack.run('pull --include-deps app', { env })
  expect(withDeps).toMatchObject({ exitCode: 1 })
  expect(withDeps.stderr).toContain(`Cannot pull image "${none}"`)
  const ignored = await tsstack.run('pull --ignore-pull-failures', { env })
  expect(ignored).toMatchObject({ exitCode: 0 })
  expect(ignored.stderr).toContain(`warning: Cannot pull image "${none}"`)
  const foreign = await tsstack.run(`pull --platform linux/s390x ${image}`, { env })
  expect(foreign.stderr).toContain('its programs do not run here')
  writeStack('')
  const missing = await tsstack.run(['pull', `${registry.host}/team/none:1`], { env })
  expect(missing.stderr).toContain('not found')
})

scenario(
  `a stack that is published runs elsewhere, from images that it has built${without}`,
  async () => {
    await daemon.up('maker', {
      services: { app: { image: 'host:sh,coreutils', command: ['true'] } },
    })
    await daemon.down('maker')
    const own = `${registry.host}/team/own:1`
    const stack = `${registry.host}/team/shop:1`
    const files = {
      Dockerfile: 'FROM host:sh,coreutils\nRUN echo built >/built\n',
      'own.env': 'GREETING=hello\n',
      'compose.yaml': `services:
  own:
    build: .
    image: ${own}
    env_file: own.env
    command: [sh, -c, 'echo $$GREETING \${WHOM}; cat /built; exec sleep 3600']
    stop_signal: SIGKILL
`,
    }
    const here = path.join(tsstack.directory, 'here')
    mkdirSync(here)
    for (const [name, text] of Object.entries(files)) writeFileSync(path.join(here, name), text)
    const file = `-f ${path.join(here, 'compose.yaml')}`
    await tsstack.ok(`${file} build`, { env })
    const denied = await tsstack.run(`${file} publish ${stack}`, { env, input: 'n\n' })
    expect(denied).toMatchObject({ exitCode: 130 })
    expect(denied.stderr).toContain('service "own": env_file declared')
    const published = await tsstack.run(`${file} publish --with-env ${stack}`, { env })
    expect(published.stderr).toMatch(/ Image \S+own:1 Pushed/)
    expect(published.stderr).toContain(` ${stack} published sha256:`)
    rmSync(here, { recursive: true })
    await tsstack.ok('image prune -af')
    const there = {
      env: { ...env, WHOM: 'world', XDG_CACHE_HOME: path.join(tsstack.directory, 'cache') },
    }
    const up = await tsstack.run(`-f oci://${stack} -p there up -d`, there)
    expect(up, up.stderr).toMatchObject({ exitCode: 0 })
    await eventually('what it prints', async () => (await daemon.logs('there')).length === 2)
    expect(await daemon.logs('there')).toEqual(['hello world', 'built'])
    await tsstack.ok('-p there down')
  },
)

scenario(`a credential helper keeps the password, and logout forgets it${without}`, async () => {
  const bin = path.join(tsstack.directory, 'bin')
  const kept = path.join(tsstack.directory, 'kept.json')
  mkdirSync(bin)
  const helper = path.join(bin, 'docker-credential-kept')
  writeFileSync(
    helper,
    `#!/bin/sh
case $1 in
store) cat >${kept} ;;
get) test -e ${kept} && cat ${kept} || { echo "credentials not found in native keychain"; exit 1; } ;;
erase) rm -f ${kept} ;;
esac
`,
  )
  chmodSync(helper, 0o755)
  const docker = path.join(tsstack.directory, 'docker-helper')
  mkdirSync(docker)
  writeFileSync(
    path.join(docker, 'config.json'),
    JSON.stringify({ credsStore: 'kept', detachKeys: 'ctrl-x' }),
  )
  const own = { DOCKER_CONFIG: docker, PATH: `${bin}:${process.env['PATH'] ?? ''}` }
  expect((await tsstack.run(`pull ${image}`, { env: own })).exitCode).toBe(1)
  const options = { env: own, input: 'secret' }
  await tsstack.ok(`login -u anna --password-stdin ${registry.host}`, options)
  const config = readFileSync(path.join(docker, 'config.json'), 'utf8')
  expect(config).not.toContain(Buffer.from('anna:secret').toString('base64'))
  expect(JSON.parse(config)).toMatchObject({ credsStore: 'kept', detachKeys: 'ctrl-x' })
  await tsstack.ok(`pull ${image}`, { env: own })
  await tsstack.ok(`logout ${registry.host}`, { env: own })
  expect((await tsstack.run(`pull ${image}`, { env: own })).exitCode).toBe(1)
})

scenario(`what takes room is told, and is made room of${without}`, async () => {
  const tree = path.join(tsstack.directory, 'tree')
  mkdirSync(tree)
  writeFileSync(path.join(tree, 'file'), 'content')
  execFileSync('tar', ['-cf', `${tree}.tar`, '-C', tree, '.'])
  await tsstack.ok('down')
  await tsstack.ok('system prune -af')
  const room = `${registry.host}/room:1`
  await tsstack.ok(['image', 'import', `${tree}.tar`, room])
  const rows = jsonOf(await tsstack.ok('system df --format json')) as unknown as {
    Type: string
    TotalCount: string
  }[]
  expect(rows.map(({ Type, TotalCount }) => [Type, TotalCount])).toEqual([
    ['Images', '1'],
    ['Containers', '0'],
    ['Local Volumes', '0'],
    ['Build Cache', '0'],
  ])
  const file = path.join(tsstack.directory, 'app.tar')
  await tsstack.ok(['image', 'save', '-o', file, room])
  expect(await tsstack.ok('system prune -af')).toContain(`Untagged: ${room}`)
  expect(await tsstack.ok('image ls -q')).toBe('')
  expect(await tsstack.ok(['image', 'load', '-i', file])).toBe(`Loaded image: ${room}`)
  await tsstack.ok('system prune -af')
})
