/** tsstack itself: a copy of this checkout, so that nobody's edit changes what is measured half-way. */
import { cpSync, mkdirSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { createClient } from '../../src/client/client.ts'
import { Sandbox } from '../sandbox.ts'
import { writeImageStack, type ImageCommands } from './image-engine.ts'
import type { Engine, EngineSetup, ServicePlace, StackPlace } from './engine.ts'

const ROOT = path.join(import.meta.dirname, '../..')
const COPIED = [
  'src',
  'scripts',
  'tsstack',
  'package.json',
  'package-lock.json',
  'stack.schema.json',
]
const NAME = 'tsstack-bench'

export async function openTsstack({ probes, image, top, work }: EngineSetup): Promise<Engine> {
  const checkout = path.join(work, 'checkout')
  copyCheckout(checkout)
  const containers = `${NAME}-containers`
  const runDir = path.join(work, 'run')
  const environment = {
    TSSTACK_RUN_DIR: runDir,
    TSSTACK_STATE_DIR: path.join(work, 'state'),
    TSSTACK_CGROUP_PARENT: containers,
  }
  const sandbox = new Sandbox({
    name: NAME,
    probes,
    work: top,
    environment,
    containerCgroups: [containers],
  })
  await sandbox.open()
  const program = path.join(checkout, 'tsstack')
  await sandbox.run([program, 'version'], { mayFail: true }) // makes the bundle and fills the compile cache
  const client = createClient({ socket: path.join(runDir, 'tsstack.sock') })
  const stack = ({ project, file }: StackPlace): string[] => [program, '-p', project, '-f', file]
  const container = ({ project, service }: ServicePlace): string => `${project}-${service}-1`
  return {
    id: 'tsstack',
    title: 'tsstack',
    sandbox,
    image: `docker-archive:${image.archive}`,
    hasHealthChecks: true,
    work,
    iperf: image.iperf,
    config: (place) => [...stack(place), 'config', '-q'],
    up: (place) => [...stack(place), 'up', '-d'],
    down: (place) => [...stack(place), 'down'],
    logs: (place) => [...stack(place), 'logs', '--no-log-prefix', '--no-color', place.service],
    exec: (place, command) => [...stack(place), 'exec', '-T', place.service, ...command],
    async waitForExit(place) {
      await client.waitContainer(container(place))
    },
    async execByApi(place, command) {
      const session = await client.exec(container(place), { command, tty: false, stdin: false })
      const { exitCode } = await session.run({
        onStdout: () => undefined,
        onStderr: () => undefined,
      })
      if (exitCode !== 0) throw new Error(`Cannot run ${command.join(' ')}: exit code ${exitCode}`)
    },
    kill: (place) => client.killContainer(container(place), 'SIGKILL'),
    start: (place) => client.startContainer(container(place)),
    images: imageCommands(program, work),
    close: () => sandbox.close(),
  }
}

/** A build and a run are of a stack file. */
function imageCommands(program: string, work: string): ImageCommands {
  const service = (tag: string): object => ({ image: tag, command: ['true'] })
  return {
    clear: [program, 'system', 'prune', '--all', '--force'],
    load: (archive) => [program, 'image', 'load', '--quiet', '--input', archive],
    pull: (reference) => [program, 'image', 'pull', '--quiet', reference],
    build: (context) => [
      ...[program, '--file', writeImageStack(work, 'build', { build: context })],
      ...['build', '--quiet'],
    ],
    run: (tag) => [
      ...[program, '--file', writeImageStack(work, 'run', service(tag))],
      ...['run', '--rm', '-T', 'one', 'true'],
    ],
  }
}

function copyCheckout(checkout: string): void {
  mkdirSync(checkout, { recursive: true })
  for (const name of COPIED) {
    cpSync(path.join(ROOT, name), path.join(checkout, name), {
      recursive: true,
      preserveTimestamps: true,
    })
  }
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(checkout, 'node_modules'))
}
