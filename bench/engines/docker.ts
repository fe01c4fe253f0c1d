/** Docker Engine with Docker Compose: of the machine, or out of a debootstrapped tree (see bench/prepare.ts). */
import { existsSync, mkdirSync } from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { eventually } from '../eventually.ts'
import { IMAGE_TAG } from '../image.ts'
import { Sandbox } from '../sandbox.ts'
import type { ImageCommands } from './image-engine.ts'
import type { Engine, EngineSetup, ServicePlace, StackPlace } from './engine.ts'

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface DockerOptions extends EngineSetup {
  readonly id: string
  /** Default: the machine's own root. */
  readonly tree?: string
}

/** @returns undefined when there is no dockerd, or no Compose */
export async function openDocker({
  id,
  tree,
  probes,
  image,
  top,
  work,
}: DockerOptions): Promise<Engine | undefined> {
  const at = (file: string): boolean => existsSync(path.join(tree ?? '/', file))
  const isPlugin =
    at('usr/libexec/docker/cli-plugins/docker-compose') ||
    at('usr/lib/docker/cli-plugins/docker-compose')
  if (!at('usr/sbin/dockerd') || !(isPlugin || at('usr/bin/docker-compose'))) return undefined
  mkdirSync(work, { recursive: true })
  const socket = path.join(work, 'docker.sock')
  const name = `tsstack-bench-${id}`
  const containers = `${name}-containers`
  const sandbox = new Sandbox({
    name,
    probes,
    work: top,
    containerCgroups: [containers],
    environment: { PATH, DOCKER_HOST: `unix://${socket}`, HOME: work },
    ...(tree === undefined ? {} : { tree }),
  })
  await sandbox.open()
  let log = ''
  sandbox.start(
    [
      'dockerd',
      '-H',
      `unix://${socket}`,
      '--data-root',
      path.join(work, 'data'),
      '--exec-root',
      '/run/docker',
      '--pidfile',
      '/run/dockerd.pid',
      '--cgroup-parent',
      `/${containers}`,
      '--log-level',
      'error',
    ],
    (chunk) => {
      log = (log + chunk).slice(-4096)
    },
  )
  await eventually('dockerd answers', () => answers(socket)).catch((error: unknown) => {
    throw new Error(`Cannot start dockerd of ${id}: ${log}`, { cause: error })
  })
  await sandbox.run(['docker', 'load', '-i', image.archive])
  const stack = ({ project, file }: StackPlace): string[] => [
    ...(isPlugin ? ['docker', 'compose'] : ['docker-compose']),
    '-p',
    project,
    '-f',
    file,
  ]
  const container = ({ project, service }: ServicePlace): string =>
    [project, service, '1'].join(isPlugin ? '-' : '_')
  return {
    id,
    title: await titleOf(sandbox, isPlugin),
    sandbox,
    image: IMAGE_TAG,
    hasHealthChecks: true,
    work,
    iperf: image.iperf,
    config: (place) => [...stack(place), 'config', '-q'],
    up: (place) => [...stack(place), 'up', '-d'],
    down: (place) => [...stack(place), 'down'],
    logs: (place) => ['docker', 'logs', container(place)],
    exec: (place, command) => ['docker', 'exec', container(place), ...command],
    async waitForExit(place) {
      await post(socket, `/containers/${container(place)}/wait`)
    },
    async execByApi(place, command) {
      const created = await post(socket, `/containers/${container(place)}/exec`, {
        Cmd: command,
        AttachStdout: true,
        AttachStderr: true,
      })
      const { Id } = JSON.parse(created) as { Id: string }
      await post(socket, `/exec/${Id}/start`, { Detach: false, Tty: false })
    },
    async kill(place) {
      await post(socket, `/containers/${container(place)}/kill`)
      await post(socket, `/containers/${container(place)}/wait`)
    },
    async start(place) {
      await post(socket, `/containers/${container(place)}/start`)
    },
    images: IMAGES,
    close: () => sandbox.close(),
  }
}

/** By BuildKit, which older command lines have to be told. */
const IMAGES: ImageCommands = {
  clear: ['docker', 'system', 'prune', '--all', '--force'],
  load: (archive) => ['docker', 'load', '--quiet', '--input', archive],
  pull: (reference) => ['docker', 'pull', '--quiet', reference],
  build: (context) => [
    ...['env', 'DOCKER_BUILDKIT=1', 'docker', 'build', '--quiet', '--tag', 'bench-build'],
    context,
  ],
  run: (tag) => ['docker', 'run', '--rm', tag, 'true'],
}

async function titleOf(sandbox: Sandbox, isPlugin: boolean): Promise<string> {
  const engine = await sandbox.run(['docker', 'version', '--format', '{{.Server.Version}}'])
  const compose = await sandbox.run([
    ...(isPlugin ? ['docker', 'compose'] : ['docker-compose']),
    'version',
    '--short',
  ])
  const plain = (version: string): string => version.trim().replace(/[+~-].*$/, '')
  return `Docker ${plain(engine.output)}, Compose ${plain(compose.output)}`
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = http.get({ socketPath, path: '/_ping' }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    request.on('error', () => {
      resolve(false)
    })
  })
}

const agent = new http.Agent({ keepAlive: true })

/** Docker Engine API; resolves when the answer has ended, for an exec that is when the program has. */
function post(socketPath: string, route: string, body: unknown = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      socketPath,
      path: route,
      method: 'POST',
      agent,
      headers: { 'content-type': 'application/json' },
    }
    const request = http.request(options, (response) => {
      text(response).then((answer) => {
        if ((response.statusCode ?? 500) < 300) resolve(answer)
        else reject(new Error(`Cannot post ${route}: ${answer}`))
      }, reject)
    })
    request.on('error', reject)
    request.end(JSON.stringify(body))
  })
}
