/** A stack that `up()` has brought up: what one asks of it, and how it goes. */
import type { ContainerSummary, LogLine, PublishedPort } from '../api/types.ts'
import type { Client } from '../client/client.ts'
import { flatten } from '../client/flatten.ts'
import { TsstackError } from '../errors.ts'
import type { LoadedStack } from '../spec/loaded-stack.ts'
import type { RemovalOptions } from './down.ts'
import { follow } from './follow.ts'

export interface ExecOptions {
  /** Number of the replica, from 1. Default: the lowest there is. */
  readonly index?: number
  readonly user?: string
  readonly workingDir?: string
  readonly environment?: Readonly<Record<string, string>>
  /** Written to standard input, which is then closed. Default: no input. */
  readonly input?: string | Uint8Array
}

export interface ExecResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunningStack extends AsyncDisposable {
  readonly name: string
  /** The model, and what was suspicious about it. */
  readonly loaded: LoadedStack
  /** False: it was up already, as it is wanted. */
  readonly changed: boolean
  /** Its containers as they are now, by service and number. @throws {UNAVAILABLE} */
  containers(service?: string): Promise<readonly ContainerSummary[]>
  /**
   * Where a port of a service is published on this host: `127.0.0.1:49153`.
   * @throws {NOT_FOUND} when no container of the service publishes it
   */
  address(service: string, port: number, protocol?: 'tcp' | 'udp'): Promise<string>
  /** Runs a program in a container of a service, to its end. @throws {NOT_FOUND} when none runs */
  exec(service: string, command: readonly string[], options?: ExecOptions): Promise<ExecResult>
  /** What its services have written so far, in order. Default: all services. */
  logs(services?: readonly string[]): AsyncIterable<LogLine>
  /** Takes it down; named volumes stay, unless told. A second time does nothing. */
  down(options?: RemovalOptions): Promise<void>
}

export interface RunningStackParts {
  readonly client: Client
  readonly loaded: LoadedStack
  readonly changed: boolean
  readonly removeVolumes: boolean
}

/** Makes no request by itself. */
export function createRunningStack(parts: RunningStackParts): RunningStack {
  const { client, loaded, changed, removeVolumes } = parts
  const { name } = loaded.stack
  let isDown = false
  const containers = async (service?: string): Promise<readonly ContainerSummary[]> => {
    const all = await client.containers({ stack: name, all: true })
    return all
      .filter((container) => !container.oneoff)
      .filter((container) => service === undefined || container.service === service)
      .toSorted((a, b) => a.service.localeCompare(b.service) || a.number - b.number)
  }
  const down = async (options: RemovalOptions = {}): Promise<void> => {
    if (isDown) return
    await follow(client.down(name, { options }))
    isDown = options.services === undefined
  }
  return {
    name,
    loaded,
    changed,
    containers,
    address: async (service, port, protocol = 'tcp') =>
      addressOf(await containers(service), { service, port, protocol }),
    exec: async (service, command, options = {}) =>
      exec(client, runningOf(await containers(service), service, options.index), {
        ...options,
        command,
      }),
    logs: (services) =>
      flatten(client.logs(name, services === undefined ? {} : { services: services.join(',') })),
    down,
    [Symbol.asyncDispose]: () => down({ volumes: removeVolumes, removeOrphans: true }),
  }
}

interface Port {
  readonly service: string
  readonly port: number
  readonly protocol: string
}

const ANY_ADDRESS = new Set(['', '0.0.0.0', '::'])

function addressOf(containers: readonly ContainerSummary[], wanted: Port): string {
  const { service, port, protocol } = wanted
  const isWanted = (one: PublishedPort): boolean =>
    one.target === port && one.protocol === protocol && one.published > 0
  const found = containers.flatMap(({ ports }) => ports.filter(isWanted))[0]
  if (found === undefined) {
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot find an address of "${service}": no container publishes port ${String(port)}/${protocol}`,
      { hint: `Write ports: ["127.0.0.1::${String(port)}"] for a free port of the host.` },
    )
  }
  const host = ANY_ADDRESS.has(found.hostIp) ? '127.0.0.1' : found.hostIp
  return `${host.includes(':') ? `[${host}]` : host}:${String(found.published)}`
}

function runningOf(
  containers: readonly ContainerSummary[],
  service: string,
  index: number | undefined,
): ContainerSummary {
  const found = containers.find(
    ({ state, number }) => state === 'running' && (index === undefined || number === index),
  )
  if (found !== undefined) return found
  const which = index === undefined ? '' : ` with number ${String(index)}`
  throw new TsstackError('NOT_FOUND', `Cannot use service "${service}": no container${which} runs`)
}

/** A frame takes 1 MiB at most. */
const INPUT_BYTES = 65_536

interface Execution extends ExecOptions {
  readonly command: readonly string[]
}

async function exec(
  client: Client,
  { id }: ContainerSummary,
  execution: Execution,
): Promise<ExecResult> {
  const { command, input, user, workingDir, environment } = execution
  const session = await client.exec(id, {
    command,
    tty: false,
    stdin: input !== undefined,
    ...(user === undefined ? {} : { user }),
    ...(workingDir === undefined ? {} : { workingDir }),
    ...(environment === undefined ? {} : { environment }),
  })
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []]
  if (input !== undefined) {
    const bytes = Buffer.from(input)
    for (let from = 0; from < bytes.length; from += INPUT_BYTES)
      session.write(bytes.subarray(from, from + INPUT_BYTES))
    session.closeStdin()
  }
  const { exitCode } = await session.run({
    onStdout: (bytes) => stdout.push(Buffer.from(bytes)),
    onStderr: (bytes) => stderr.push(Buffer.from(bytes)),
  })
  return {
    exitCode,
    stdout: Buffer.concat(stdout).toString(),
    stderr: Buffer.concat(stderr).toString(),
  }
}
