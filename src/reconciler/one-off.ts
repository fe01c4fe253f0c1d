/** `tsstack run`: a container of a service, for one command, beside those that the stack wants. */
import { randomBytes } from 'node:crypto'
import path from 'node:path'
import type { RunRequest } from '../api/types.ts'
import { dependencyGraph, selectServices } from '../planner/dependency-graph.ts'
import { decideNetworks, volumeNodes } from '../planner/resource-operations.ts'
import { parsePort } from '../spec/ports.ts'
import type { Service, ServiceExtension, ServiceVolume } from '../spec/stack.ts'
import { parseVolume } from '../spec/volume-syntax.ts'
import { TsstackError } from '../errors.ts'
import { buildMissing } from './build-missing.ts'
import type { Context } from './context.ts'
import { createContainer } from './create-container.ts'
import { createVolume, putVolume } from './create-volume.ts'
import { resolveStack } from './desired-state-of.ts'
import { observe } from './observe.ts'
import type { ResolvedStack } from './resolved-stack.ts'
import { pullServices } from './pull-services.ts'
import { rememberStack, upStack } from './stack-operations.ts'

/**
 * Brings up what the service depends on, and makes the container; the caller attaches and starts it.
 * @returns its id
 */
export async function createOneOff(context: Context, request: RunRequest): Promise<string> {
  const { stack, service: name } = request
  const definition = stack.services[name]
  if (definition === undefined) {
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot run service "${name}": the stack has no such service`,
      {
        hint: `Its services are ${Object.keys(stack.services).join(', ')}`,
      },
    )
  }
  rememberStack(context, request)
  const dependencies = selectServices(dependencyGraph(stack), [name]).filter(
    (service) => service !== name,
  )
  if (request.noDeps !== true && dependencies.length > 0)
    await startDependencies(context, request, dependencies)
  const pull = {
    services: [name],
    policy: request.pull,
    otherwise: 'missing' as const,
    credentials: request.credentials,
  }
  await pullServices(context, request, pull, () => undefined)
  await buildMissing(context, { ...request, options: {} }, [name], { tell: () => undefined })
  const resolved = await resolveStack(context, request, [name])
  await ensureResources(context, request, resolved)
  const record = await createContainer(context, {
    resolved,
    service: name,
    definition: overridden(resolved.desired.stack.services[name] ?? definition, request),
    number: 1,
    name: request.name ?? `${stack.name}-${name}-run-${randomBytes(6).toString('hex')}`,
    oneoff: true,
    answersAsService: request.useAliases ?? false,
    removeOnExit: request.remove ?? false,
    ...(request.size === undefined ? {} : { terminalSize: request.size }),
  })
  return record.id
}

async function startDependencies(
  context: Context,
  request: RunRequest,
  services: readonly string[],
): Promise<void> {
  const { stack, files, workingDir, contents, credentials } = request
  let failure: unknown
  const login = credentials === undefined ? {} : { credentials }
  const options = { services, before: request.service }
  const up = { stack, files, workingDir, contents, ...login, options }
  await upStack(context, up, (event) => {
    if (event.type === 'error') failure = event.error
  })
  if (failure !== undefined)
    throw new TsstackError('FAILED_PRECONDITION', 'Cannot start what the service depends on', {
      cause: failure,
    })
}

/** What `up` would make of networks and volumes for this service, and what `-v NAME:PATH` names. */
async function ensureResources(
  context: Context,
  request: RunRequest,
  resolved: ResolvedStack,
): Promise<void> {
  const { stack } = resolved.desired
  const scope = new Set([request.service])
  const observed = observe(context, stack.name)
  const networks = decideNetworks({ stack, scope }, observed, { noRecreate: true })
  for (const name of networks.created) await context.networks.create(resolved, name)
  for (const name of volumeNodes({ stack, scope }, observed).nodes.keys())
    await createVolume(context, name, resolved)
  for (const text of request.volumes ?? []) {
    const { type, source: name } = mountOf(text, request.workingDir)
    if (type !== 'volume' || name === undefined || Object.hasOwn(stack.volumes, name)) continue
    if (context.volumeRecords.get(name) === undefined)
      await putVolume(context, { name, labels: {}, configHash: '' }, {})
  }
}

/** The service as the command line changes it; its own published ports only when asked for, as Compose has it. */
function overridden(service: Service, request: RunRequest): Service {
  const own = request.servicePorts === true ? (service.ports ?? []) : []
  const ports = [
    ...own,
    ...(request.publish ?? []).flatMap((text) =>
      valid('port', text, parsePort(text)).map((port) => ({ ...port })),
    ),
  ]
  const mounts = (request.volumes ?? []).map((text) => mountOf(text, request.workingDir))
  const { healthcheck, container_name, 'x-tsstack': extension, ...rest } = service
  return {
    ...rest,
    'x-tsstack': extensionOfOneOff(extension),
    restart: 'no',
    ports,
    tty: request.tty,
    stdin_open: request.stdin,
    ...programOf(request),
    ...(request.user === undefined ? {} : { user: request.user }),
    ...(request.workdir === undefined ? {} : { working_dir: request.workdir }),
    environment: { ...service.environment, ...request.environment },
    labels: { ...service.labels, ...request.labels },
    volumes: [...(service.volumes ?? []), ...mounts],
    ...capabilitiesOf(service, request),
  }
}

/** What is asked for wins over the opposite in the service. */
function capabilitiesOf(
  { cap_add = [], cap_drop = [] }: Service,
  { capAdd = [], capDrop = [] }: RunRequest,
): Pick<Service, 'cap_add' | 'cap_drop'> {
  return {
    cap_add: [...cap_add.filter((name) => !capDrop.includes(name)), ...capAdd],
    cap_drop: [...cap_drop.filter((name) => !capAdd.includes(name)), ...capDrop],
  }
}

/** Another entrypoint has no use for the command that is meant for the service's own. */
function programOf({ command, entrypoint }: RunRequest): Pick<Service, 'command' | 'entrypoint'> {
  if (entrypoint === undefined) return command === undefined ? {} : { command }
  return { entrypoint, command: command ?? [] }
}

/** It writes as the service does, and stands in for replica 1: with its variables and volumes, but not by its name. */
function extensionOfOneOff({ owner, replica }: ServiceExtension = {}): ServiceExtension {
  const { environment, volumes } = replica ?? {}
  return {
    ...(owner === undefined ? {} : { owner }),
    ...(replica === undefined
      ? {}
      : {
          replica: {
            ...(environment === undefined ? {} : { environment }),
            ...(volumes === undefined ? {} : { volumes }),
          },
        }),
  }
}

function mountOf(text: string, workingDir: string): ServiceVolume {
  const mount = valid('volume', text, parseVolume(text))
  if (mount.type !== 'bind') return { ...mount }
  return { ...mount, source: path.resolve(workingDir, mount.source ?? '') }
}

/** @throws {INVALID_ARGUMENT} when the grammar gave the reason instead of a value */
function valid<T extends object>(what: string, text: string, parsed: T | string): T {
  if (typeof parsed !== 'string') return parsed
  throw new TsstackError('INVALID_ARGUMENT', `Cannot use ${what} "${text}": ${parsed}`)
}
