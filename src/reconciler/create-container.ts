/** Making a container: its record, its name, its anonymous volumes. Nothing of it runs yet. */
import { randomBytes } from 'node:crypto'
import os from 'node:os'
import type { TerminalSize } from '../engine/device-tree.ts'
import { serviceOfReplica } from '../planner/replica-identity.ts'
import { serviceConfiguration } from '../planner/service-fields.ts'
import type { Service } from '../spec/stack.ts'
import { TsstackError } from '../errors.ts'
import { containerConfigOf } from './container-config-of.ts'
import type { ContainerIdentity, ConversionInput } from './conversion-input.ts'
import { emitContainerEvent } from './container-event.ts'
import { anonymousTargets } from './container-mounts.ts'
import type { Context } from './context.ts'
import type { ResolvedStack } from './resolved-stack.ts'
import type { ContainerRecord } from './records.ts'

export interface CreateRequest {
  readonly resolved: ResolvedStack
  readonly service: string
  /** Instead of the stack's own definition: a one-off's overrides. */
  readonly definition?: Service
  readonly number: number
  readonly name: string
  readonly oneoff?: boolean
  /** Of a one-off: whether the service's name and aliases lead to it, too. Default: false. */
  readonly answersAsService?: boolean
  /** Anonymous volumes of the container whose place it takes, by target. */
  readonly inherits?: Readonly<Record<string, string>>
  readonly removeOnExit?: boolean
  /** It is going to take another's place. */
  readonly standby?: boolean
  /** Of its terminal, when it starts. */
  readonly terminalSize?: TerminalSize
}

/** @throws {ALREADY_EXISTS} when another container has the name */
export async function createContainer(
  context: Context,
  request: CreateRequest,
): Promise<ContainerRecord> {
  const { resolved, service: serviceName } = request
  assertNameFree(context, request.name)
  const id = randomBytes(32).toString('hex')
  const identity: ContainerIdentity = {
    serviceName,
    number: request.number,
    name: request.name,
    id,
    oneoff: request.oneoff ?? false,
    answersAsService: request.oneoff !== true || request.answersAsService === true,
  }
  const input = conversionInputOf(context, request, identity)
  const anonymousVolumes = await createAnonymousVolumes(context, request, input)
  const configuration = serviceConfiguration(serviceName, resolved.desired)
  const record: ContainerRecord = {
    id,
    config: containerConfigOf({ ...input, anonymousVolumes }),
    fields: configuration.fields,
    replaceHash: configuration.replaceHash,
    updateHash: configuration.updateHash,
    dependsOn: Object.keys(input.service.depends_on ?? {}),
    state: 'created',
    ...(request.standby === true ? { part: 'standby' as const } : {}),
    wanted: 'stopped',
    createdAt: new Date().toISOString(),
    oomKilled: false,
    restartCount: 0,
    seeded: false,
    publishedPorts: [],
    anonymousVolumes,
    removeOnExit: request.removeOnExit ?? false,
    ...(request.terminalSize === undefined ? {} : { terminalSize: request.terminalSize }),
  }
  context.containers.put(id, record)
  emitContainerEvent(context, record, 'create')
  return record
}

/** What a service of the stack and its image give for a container. */
export function conversionInputOf(
  context: Context,
  request: Pick<CreateRequest, 'resolved' | 'service' | 'definition'>,
  identity: ContainerIdentity,
): ConversionInput {
  const { resolved, service: name } = request
  const service = request.definition ?? resolved.desired.stack.services[name]
  const image = resolved.images[name]
  if (service === undefined || image === undefined) {
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot create container "${identity.name}": there is no service "${name}"`,
    )
  }
  const containerOf = (reference: string): string =>
    findShared(context, resolved.desired.stack.name, reference)
  const { stack } = resolved.desired
  return {
    stack,
    service: serviceOfReplica(service, { stack, ...identity }),
    identity,
    image,
    mountedImages: resolved.mountedImages,
    contentDigests: resolved.desired.contentDigests,
    files: resolved.source.files,
    workingDir: resolved.source.workingDir,
    configHash: serviceConfiguration(name, resolved.desired).replaceHash,
    anonymousVolumes: {},
    containerOf,
    hostnameOf: (mode) =>
      (mode === 'host' ? undefined : context.containers.get(mode.container)?.config.hostname) ??
      os.hostname(),
    mountsOf: (reference) => context.containers.get(containerOf(reference))?.config.mounts ?? [],
  }
}

async function createAnonymousVolumes(
  context: Context,
  request: CreateRequest,
  input: ConversionInput,
): Promise<Record<string, string>> {
  const inherited = request.inherits ?? {}
  const volumes: Record<string, string> = {}
  for (const target of anonymousTargets(input)) {
    const name = inherited[target] ?? randomBytes(32).toString('hex')
    context.volumeRecords.put(name, {
      name,
      stack: input.stack.name,
      configHash: '',
      createdAt: new Date().toISOString(),
      labels: { ...labelsAt(input.service, target), 'com.docker.volume.anonymous': '' },
    })
    await context.volumes.create(name)
    volumes[target] = name
  }
  return volumes
}

/** Those of a named volume are written with the volume itself. */
function labelsAt({ volumes = [] }: Service, at: string): Readonly<Record<string, string>> {
  return volumes.find(({ target }) => target === at)?.volume?.labels ?? {}
}

function assertNameFree(context: Context, name: string): void {
  const holder = context.containers.values().find((record) => record.config.name === name)
  if (holder === undefined) return
  throw new TsstackError(
    'ALREADY_EXISTS',
    `Cannot create container: container name "${name}" is already in use by stack "${holder.config.stack}"`,
    {
      hint: 'Remove it, or give this one another "container_name"',
    },
  )
}

/** `service:x` is the first container of service x, `container:x` any by its name or id. */
function findShared(context: Context, stack: string, reference: string): string {
  const [kind = '', name = ''] = reference.split(/:(.*)/s)
  const found = context.containers
    .values()
    .find(({ id, config }) =>
      kind === 'service'
        ? config.stack === stack && config.service === name && !config.oneoff
        : config.name === name || id === name,
    )
  if (found !== undefined) return found.id
  throw new TsstackError(
    'NOT_FOUND',
    `Cannot share anything of "${reference}": there is no such container`,
  )
}
