/** Stack files of OCI artifacts, as `docker compose publish` makes them, from a real registry on this machine. */
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
} from 'vitest'
import type { Credentials } from '../../src/registry/credentials.ts'
import { openRegistry } from '../../src/registry/open-registry.ts'
import { readRegistrySettings } from '../../src/registry/registry-settings.ts'
import { loadSources } from '../../src/sources/load-sources.ts'
import type { LoadedStack } from '../../src/spec/loaded-stack.ts'
import { missingPrograms, startRegistry, type RegistryFixture } from '../registry-fixture.ts'

const without = missingPrograms('docker-registry', 'htpasswd')
const COMPOSE_FILE = 'application/vnd.docker.compose.file+yaml'
const ENV_FILE = 'application/vnd.docker.compose.envfile'

interface ArtifactLayer {
  readonly text: string
  readonly mediaType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

interface Push {
  readonly name: string
  readonly layers: readonly ArtifactLayer[]
  readonly artifactType?: string
  readonly credentials?: Credentials
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** @returns the digest of the manifest */
async function push(server: RegistryFixture, artifact: Push): Promise<string> {
  const { name, layers, credentials } = artifact
  const registry = openRegistry(server.host, { settings: readRegistrySettings({}), credentials })
  const [repository = '', tag = 'latest'] = name.split(':')
  try {
    const send = async (text: string): Promise<{ digest: string; size: number }> => {
      const bytes = Buffer.from(text)
      const blob = { digest: digestOf(bytes), size: bytes.length }
      await registry.upload(repository, {
        ...blob,
        open: async function* () {
          yield await Promise.resolve(bytes)
        },
      })
      return blob
    }
    const sent = []
    for (const { text, mediaType = COMPOSE_FILE, annotations = {} } of layers)
      sent.push({ mediaType, annotations, ...(await send(text)) })
    const mediaType = 'application/vnd.oci.image.manifest.v1+json'
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType,
        artifactType: artifact.artifactType ?? 'application/vnd.docker.compose.project',
        config: { mediaType: 'application/vnd.oci.empty.v1+json', ...(await send('{}')) },
        layers: sent,
      }),
    )
    await registry.putManifest(repository, tag, { bytes: manifest, mediaType })
    return digestOf(manifest)
  } finally {
    registry.close()
  }
}

const STACK: readonly ArtifactLayer[] = [
  {
    text: 'services:\n  web: {image: "web:${TAG}", env_file: [web.env], extends: {file: base.yaml, service: base}}\n',
    annotations: { 'com.docker.compose.file': 'compose.yaml' },
  },
  {
    text: 'services: {web: {hostname: second}}\n',
    annotations: { 'com.docker.compose.file': 'compose.prod.yaml' },
  },
  {
    text: 'services: {base: {image: x, command: run}}\n',
    annotations: { 'com.docker.compose.file': 'base.yaml', 'com.docker.compose.extends': 'true' },
  },
  {
    text: 'A=1\n',
    mediaType: ENV_FILE,
    annotations: { 'com.docker.compose.envfile': 'web.env' },
  },
]

describe.skipIf(without !== '')(`remote stack files of OCI${without}`, { timeout: 60_000 }, () => {
  let directory = ''
  let server: RegistryFixture
  beforeAll(async () => {
    server = await startRegistry()
  })
  afterAll(async () => {
    if (without === '') await server.close()
  })
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsstack-artifact-'))
  })
  afterEach(() => {
    rmSync(directory, { recursive: true, force: true })
  })
  const load = (file: string): Promise<LoadedStack> =>
    loadSources({
      cwd: directory,
      files: [file],
      env: {
        HOME: directory,
        XDG_CACHE_HOME: join(directory, 'cache'),
        DOCKER_CONFIG: join(directory, 'docker'),
        TAG: '7',
      },
    })

  test('come with what they extend and their environment, by tag and by digest', async () => {
    const digest = await push(server, { name: 'me/shop:v1', layers: STACK })
    for (const reference of [`me/shop:v1`, `me/shop@${digest}`]) {
      const { stack } = await load(`oci://${server.host}/${reference}`)
      expect(stack.name).toBe('shop')
      expect(stack.services['web']).toMatchObject({
        image: 'web:7',
        hostname: 'second',
        command: ['run'],
        environment: { A: '1' },
      })
    }
  })

  test('are included by others', async () => {
    await push(server, { name: 'shop', layers: STACK })
    const file = join(directory, 'stack.yaml')
    writeFileSync(file, `include: ["oci://${server.host}/shop"]\nservices: {b: {image: b}}\n`)
    expect(Object.keys((await load(file)).stack.services).sort()).toEqual(['b', 'web'])
  })

  test('need a password where the registry asks for one', async () => {
    const guarded = await startRegistry({ user: { name: 'reader', password: 'secret' } })
    onTestFinished(guarded.close)
    const credentials = { username: 'reader', password: 'secret' }
    await push(guarded, { name: 'shop:v1', layers: STACK, credentials })
    const reference = `oci://${guarded.host}/shop:v1`
    await expect(load(reference)).rejects.toThrow(/cannot read oci:.*shop:v1/)
    mkdirSync(join(directory, 'docker'))
    const auth = Buffer.from('reader:secret').toString('base64')
    writeFileSync(
      join(directory, 'docker/config.json'),
      JSON.stringify({ auths: { [guarded.host]: { auth } } }),
    )
    expect((await load(reference)).stack.name).toBe('shop')
  })

  test.each<[what: string, artifact: Omit<Push, 'name'>, message: string]>([
    ['an image', { layers: STACK, artifactType: 'application/x' }, 'is "application/x" and no'],
    ['nothing of a stack', { layers: STACK.slice(3) }, 'it has no stack file'],
    [
      'a file outside',
      {
        layers: [
          ...STACK,
          {
            text: 'x',
            mediaType: ENV_FILE,
            annotations: { 'com.docker.compose.envfile': '../../x' },
          },
        ],
      },
      'its file "../../x" is not in its directory',
    ],
    [
      'a program',
      {
        layers: [
          ...STACK,
          { text: 'x', mediaType: ENV_FILE, annotations: { 'com.docker.compose.envfile': 'a.ts' } },
        ],
      },
      'its file "a.ts" is not in its directory',
    ],
  ])('are refused when they are %s', async (_, artifact, message) => {
    await push(server, { name: 'bad:v1', ...artifact })
    await expect(load(`oci://${server.host}/bad:v1`)).rejects.toThrow(message)
  })

  test('are told off when there is none', async () => {
    await expect(load(`oci://${server.host}/nix:v1`)).rejects.toThrow(/cannot read oci:.*nix:v1/)
    await expect(load('oci://NO_NAME')).rejects.toThrow('Cannot read image reference')
  })
})
