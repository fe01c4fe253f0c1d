/** Caches of builds that hosts share. Another host is this one when it has forgotten all that it has built. */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { missingPrograms, startRegistry, type RegistryFixture } from '../registry-fixture.ts'
import { jsonOf, newProject, type CommandLine } from './command-line.ts'

const BASE = 'host:sh,coreutils'
const skipped = missingPrograms('docker-registry')

let daemon: DaemonFixture
let registry: RegistryFixture | undefined

beforeAll(async () => {
  daemon = await startDaemonFixture()
  if (skipped === '') registry = await startRegistry({ netns: daemon.netns })
})
afterAll(async () => {
  await registry?.close()
  await daemon.close()
})

const DOCKERFILE = `
FROM ${BASE} AS tools
RUN mkdir /out; cat /proc/sys/kernel/random/uuid > /out/tool
FROM ${BASE}
COPY --from=tools /out/tool /tool
RUN cat /proc/sys/kernel/random/uuid > /own
`

function write(tsstack: CommandLine, build: string, image = 'shared'): void {
  const stack = `services:\n  app:\n    image: ${image}\n    build: { context: ., ${build} }\n`
  writeFileSync(path.join(tsstack.directory, 'stack.yaml'), stack)
}

/** The layers of what is built: others each time that the steps run. */
async function built(tsstack: CommandLine, image = 'shared'): Promise<string> {
  await tsstack.ok('build')
  const [inspected] = jsonOf(await tsstack.ok(`image inspect ${image}`))
  return JSON.stringify(inspected?.['RootFS'])
}

async function forget(tsstack: CommandLine): Promise<void> {
  await tsstack.ok('image prune -a -f')
  await tsstack.ok('builder prune -f')
}

test.skipIf(skipped !== '')(
  `a cache in a registry or a directory spares others the steps, and is believed by nobody else${skipped}`,
  async () => {
    const tsstack = newProject(daemon, 'shared', { Dockerfile: DOCKERFILE })
    const name = `${registry?.host ?? ''}/cache:1`
    write(
      tsstack,
      `cache_to: ['type=registry,ref=${name},mode=max', 'type=local,dest=cache,mode=max']`,
    )
    const first = await built(tsstack)
    await tsstack.ok('run --rm app true') // the stack knows the layers, which go and come again
    for (const from of [name, 'type=local,src=cache']) {
      await forget(tsstack)
      write(tsstack, `cache_from: ['${from}']`)
      expect(await built(tsstack)).toBe(first)
    }
    await tsstack.ok('run --rm app test -s /tool -a -s /own')
    write(tsstack, 'pull: false')
    expect(await built(tsstack)).not.toBe(first)
  },
)

test.skipIf(skipped !== '')(`an image tells of its own steps${skipped}`, async () => {
  const tsstack = newProject(daemon, 'inline', {
    Dockerfile: `FROM ${BASE}\nRUN cat /proc/sys/kernel/random/uuid > /own\n`,
  })
  const image = `${registry?.host ?? ''}/inline:1`
  write(tsstack, 'cache_to: [type=inline]', image)
  const first = await built(tsstack, image)
  await tsstack.ok('push')
  await forget(tsstack)
  write(tsstack, `cache_from: ['${image}']`, image)
  expect(await built(tsstack, image)).toBe(first)
})

test('a cache that is not to be had is warned of; one of a service elsewhere is refused', async () => {
  const tsstack = newProject(daemon, 'absent', {
    Dockerfile: `FROM ${BASE}\nRUN echo 1 > /1\n`,
    own: '',
  })
  write(tsstack, `cache_from: ['127.0.0.1:9/none'], cache_to: ['type=local,dest=.']`)
  const { exitCode, stderr } = await tsstack.run('build')
  expect([exitCode, stderr]).toEqual([0, expect.stringContaining('127.0.0.1:9/none')])
  expect(stderr).toContain('has other files than a cache')
  expect(readFileSync(path.join(tsstack.directory, 'own'), 'utf8')).toBe('')
  write(tsstack, 'cache_to: [type=gha]')
  expect((await tsstack.run('build')).stderr).toContain('runners of GitHub')
})
