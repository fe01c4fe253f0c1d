/** Podman with podman-compose: of the machine, or out of a debootstrapped tree (see bench/prepare.ts). */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { IMAGE_TAG } from '../image.ts'
import { Sandbox } from '../sandbox.ts'
import type { ImageCommands } from './image-engine.ts'
import type { Engine, EngineSetup, ServicePlace, StackPlace } from './engine.ts'

export const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface PodmanOptions extends EngineSetup {
  readonly id: string
  /** Default: the machine's own root. */
  readonly tree?: string
}

/** @returns undefined when there is no podman, or no podman-compose */
export async function openPodman({
  id,
  tree,
  probes,
  image,
  top,
  work,
}: PodmanOptions): Promise<Engine | undefined> {
  const has = (program: string): boolean => existsSync(path.join(tree ?? '/', 'usr/bin', program))
  if (!has('podman') || !has('podman-compose')) return undefined
  mkdirSync(work, { recursive: true })
  const sandbox = new Sandbox({
    name: `tsstack-bench-${id}`,
    probes,
    work: top,
    withoutCgroup2: true,
    containerCgroups: ['libpod_parent'],
    environment: { PATH, HOME: work, ...writeConfiguration(work) },
    ...(tree === undefined ? {} : { tree }),
  })
  await sandbox.open()
  await sandbox.run(['podman', 'load', '-i', image.archive])
  const stack = ({ project, file }: StackPlace): string[] => [
    'podman-compose',
    '-p',
    project,
    '-f',
    file,
  ]
  const container = ({ project, service }: ServicePlace): string => `${project}_${service}_1`
  return {
    id,
    title: await titleOf(sandbox),
    sandbox,
    image: IMAGE_TAG,
    hasHealthChecks: false,
    work,
    iperf: image.iperf,
    config: (place) => [...stack(place), 'config'],
    up: (place) => [...stack(place), 'up', '-d'],
    down: (place) => [...stack(place), 'down'],
    logs: (place) => ['podman', 'logs', container(place)],
    exec: (place, command) => ['podman', 'exec', container(place), ...command],
    async waitForExit(place) {
      await sandbox.run(['podman', 'wait', container(place)])
    },
    images: IMAGES,
    close: () => sandbox.close(),
  }
}

const IMAGES: ImageCommands = {
  clear: ['podman', 'rmi', '--all', '--force'],
  load: (archive) => ['podman', 'load', '--quiet', '--input', archive],
  pull: (reference) => ['podman', 'pull', '--quiet', '--tls-verify=false', reference],
  build: (context) => ['podman', 'build', '--quiet', '--layers', '--tag', 'bench-build', context],
  run: (tag) => ['podman', 'run', '--rm', tag, 'true'],
}

/**
 * What Podman needs on a machine without systemd and without CAP_SYS_RESOURCE: its defaults raise hard limits.
 * @returns the environment that names the files
 */
export function writeConfiguration(work: string): NodeJS.ProcessEnv {
  const [containers, storage, policy] = ['containers.conf', 'storage.conf', 'policy.json'].map(
    (name) => path.join(work, name),
  ) as [string, string, string]
  writeFileSync(
    containers,
    [
      '[containers]',
      'default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]',
      '[engine]',
      'cgroup_manager = "cgroupfs"',
      'events_logger = "file"',
      '[network]',
      'network_backend = "netavark"',
      `network_config_dir = "${path.join(work, 'networks')}"`,
      '',
    ].join('\n'),
  )
  writeFileSync(
    storage,
    `[storage]\ndriver = "overlay"\ngraphroot = "${path.join(work, 'storage')}"\nrunroot = "/run/podman-storage"\n`,
  )
  writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}')
  return { CONTAINERS_CONF: containers, CONTAINERS_STORAGE_CONF: storage }
}

async function titleOf(sandbox: Sandbox): Promise<string> {
  const engine = await sandbox.run(['podman', 'version', '--format', '{{.Client.Version}}'])
  const compose = await sandbox.run(['podman-compose', 'version'], { mayFail: true })
  const version = /podman-compose version:? *([\d.]+)/.exec(compose.output)?.[1] ?? '?'
  return `Podman ${engine.output.trim()}, podman-compose ${version}`
}
