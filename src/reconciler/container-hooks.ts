/**
 * Lifecycle hooks of a service (Compose: post_start, pre_stop, pre_start). They are kept with the container, so that
 * `stop` and `start` without a stack file run them too. Restarts by policy and crashes run none.
 */
import { randomBytes } from 'node:crypto'
import type { ContainerConfig, Hook } from '../engine/container-config.ts'
import { finishSession } from '../engine/finish-session.ts'
import { ALL_HOST_DEVICES } from '../engine/host-devices.ts'
import { toTsstackError, TsstackError } from '../errors.ts'
import { DEFAULT_PATH } from './container-config-of.ts'
import { openContainerExec } from './container-exec.ts'
import type { Context } from './context.ts'
import { launchContainer } from './launch-container.ts'
import { listenToOutput } from './output-listeners.ts'
import type { ContainerRecord } from './records.ts'
import { removeContainer } from './remove-container.ts'

const LONGEST_HOOK_MS = 3_600_000
const MAX_OUTPUT = 4096
const LEAST_PRE_STOP_MS = 1000
const SIGKILL = 9
const STOPPED = '. The container is stopped all the same, and kept: the next "down" removes it'

/** A lifecycle hook did not do what it is there for. */
export class HookFailure extends TsstackError {}

/** @throws {HookFailure} for the first hook that does not exit with 0 */
export async function runPostStartHooks(
  context: Context,
  record: ContainerRecord,
  hurry?: AbortSignal,
): Promise<void> {
  for (const hook of record.config.hooks.postStart) {
    const failure = await runInside(context, record, { hook, timeoutMs: LONGEST_HOOK_MS, hurry })
    if (failure === undefined) continue
    if (hurry?.aborted === true) throw givenUp(record, 'post_start', hurry)
    throw hookError(record, 'post_start', { hook, failure })
  }
}

function givenUp(
  { config }: ContainerRecord,
  kind: 'pre_start' | 'post_start',
  { reason }: AbortSignal,
): TsstackError {
  if (reason instanceof TsstackError) return reason
  const state = `Cannot wait for a ${kind} hook of container "${config.name}" any longer`
  return new TsstackError('CANCELLED', state)
}

/**
 * All of them have the grace period together, but a moment at least. One that fails does not keep the container from being
 * stopped: the failure is for afterwards.
 */
export async function runPreStopHooks(
  context: Context,
  record: ContainerRecord,
  graceMs: number,
  hurry: AbortSignal,
): Promise<HookFailure | undefined> {
  const deadline = performance.now() + Math.max(graceMs, LEAST_PRE_STOP_MS)
  let first: HookFailure | undefined
  for (const hook of record.config.hooks.preStop) {
    const timeoutMs = Math.max(0, deadline - performance.now())
    const failure = await runInside(context, record, { hook, timeoutMs, hurry })
    if (failure !== undefined) first ??= hookError(record, 'pre_stop', { hook, failure })
  }
  return first
}

/** @returns why it failed */
async function runInside(
  context: Context,
  record: ContainerRecord,
  {
    hook,
    timeoutMs,
    hurry,
  }: {
    readonly hook: Hook
    readonly timeoutMs: number
    readonly hurry?: AbortSignal | undefined
  },
): Promise<string | undefined> {
  const { command, user, privileged, workingDir, environment } = hook
  const exec = {
    command,
    environment,
    ...(user === undefined ? {} : { user }),
    ...(privileged === undefined ? {} : { privileged }),
    ...(workingDir === undefined ? {} : { workingDir }),
  }
  try {
    const session = await openContainerExec(context, record.id, exec)
    const { exitCode, output } = await finishSession(session, timeoutMs, hurry)
    return exitCode === 0 ? undefined : failureText(exitCode, output)
  } catch (error) {
    const { exitCode, message } = toTsstackError(error)
    return failureText(exitCode, message) // 126, 127: the program could not be executed
  }
}

function failureText(exitCode: number | undefined, output: string): string {
  const how = exitCode === undefined ? 'took too long' : `exited with status ${exitCode}`
  return output.trim() === '' ? how : `${how}: ${output.trim()}`
}

function hookError(
  { config }: ContainerRecord,
  kind: string,
  { hook, failure }: { readonly hook: Hook; readonly failure: string },
): HookFailure {
  return new HookFailure(
    'FAILED_PRECONDITION',
    `Cannot ${kind === 'pre_stop' ? 'stop' : 'start'} container "${config.name}" as asked: ${config.service} hook ${failure}`,
    { hint: `It is ${kind}: ${hook.command.join(' ')}${kind === 'pre_stop' ? STOPPED : ''}` },
  )
}

/**
 * Init containers: each hook in a container of its own, one after the other, before the first start. One that succeeded
 * is not run again for the same definition; without `per_replica` one run serves all replicas.
 * @throws {HookFailure} for the first that fails
 */
export async function runPreStartHooks(
  context: Context,
  record: ContainerRecord,
  hurry?: AbortSignal,
): Promise<void> {
  const pending = record.config.hooks.preStart.filter((hook) => !isPrepared(context, record, hook))
  for (const hook of pending) {
    const failure = await runBeside(context, record, { hook, hurry })
    if (failure === undefined) continue
    if (hurry?.aborted === true) throw givenUp(record, 'pre_start', hurry)
    throw hookError(record, 'pre_start', { hook, failure })
  }
  if (pending.length === 0) return
  const current = context.containers.get(record.id)
  if (current !== undefined) context.containers.put(record.id, { ...current, prepared: true })
}

function isPrepared(context: Context, record: ContainerRecord, hook: Hook): boolean {
  if (record.prepared === true) return true
  if (hook.perReplica) return false
  const { stack, service } = record.config
  return context.containers
    .values()
    .some(
      ({ config, replaceHash, prepared }) =>
        prepared === true &&
        config.stack === stack &&
        config.service === service &&
        replaceHash === record.replaceHash,
    )
}

async function runBeside(
  context: Context,
  record: ContainerRecord,
  { hook, hurry }: { readonly hook: Hook; readonly hurry: AbortSignal | undefined },
): Promise<string | undefined> {
  const id = randomBytes(32).toString('hex')
  const config = await initConfig(context, record, hook)
  context.containers.put(id, {
    ...record,
    id,
    config: { ...config, hostname: id.slice(0, 12) },
    state: 'created',
    wanted: 'running',
    createdAt: new Date().toISOString(),
    removeOnExit: true,
    anonymousVolumes: {},
    publishedPorts: [],
  })
  let output = ''
  const listening = listenToOutput(context, id, (_, bytes) => {
    output = (output + bytes.toString('utf8')).slice(-MAX_OUTPUT)
  })
  const exitCode = exitCodeOf(context, id)
  const kill = (): void => {
    context.live.get(id)?.process.signal(SIGKILL)
  }
  hurry?.addEventListener('abort', kill)
  try {
    await context.locks.run(id, () => launchContainer(context, id))
    if (hurry?.aborted === true) kill()
    const code = await exitCode.promise
    return code === 0 ? undefined : failureText(code, output)
  } finally {
    hurry?.removeEventListener('abort', kill)
    exitCode.close()
    listening()
    await context.locks.run(id, () => removeContainer(context, id))
  }
}

/** From the event: the container removes itself when it ends, so that a crash of the daemon leaves none. */
function exitCodeOf(
  context: Context,
  id: string,
): { readonly promise: Promise<number>; readonly close: () => void } {
  let close = (): void => undefined
  const promise = new Promise<number>((resolve) => {
    close = context.events.subscribe((event) => {
      if (event.id === id && event.action === 'die') resolve(Number(event.attributes['exitCode']))
    })
  })
  return { promise, close }
}

/** As the service's container, but for what it runs and what only the real one may have: ports, aliases, checks. */
async function initConfig(
  context: Context,
  { config }: ContainerRecord,
  hook: Hook,
): Promise<ContainerConfig> {
  const isOwn = hook.image === undefined
  const image = isOwn
    ? context.images.inspect(config.image.id)
    : await context.images.resolve(hook.image, { baseDir: '/' })
  const { entrypoint = [], cmd = [], env, workingDir = '/' } = image.config
  const argv = [...entrypoint, ...(hook.command.length === 0 ? cmd : hook.command)]
  if (argv.length === 0)
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot run a pre_start hook of service "${config.service}": neither it nor its image has a command`,
      { hint: 'Set its "command:"' },
    )
  const { health, user: _own, ...rest } = config
  const user = hook.user ?? (isOwn ? config.user : image.config.user)
  return {
    ...rest,
    name: `${config.name}-init-${randomBytes(4).toString('hex')}`,
    oneoff: true,
    ...(isOwn ? {} : { image: { reference: hook.image, id: image.id }, workingDir }),
    argv,
    environment: {
      ...(isOwn ? config.environment : { PATH: DEFAULT_PATH, ...env }),
      ...hook.environment,
    },
    ...(user === undefined || user === '' ? {} : { user }),
    ...(hook.workingDir === undefined ? {} : { workingDir: hook.workingDir }),
    ...privilegesOf(config, hook),
    endpoints: config.endpoints.map(({ ipv4, ipv6, mac, ...endpoint }) => ({
      ...endpoint,
      aliases: [],
    })),
    ports: [],
    restart: { condition: 'no' },
    hooks: { preStart: [], postStart: [], preStop: [] },
  }
}

/** What `privileged` means to a container is written down in its configuration: the other way round where the hook differs. */
function privilegesOf(config: ContainerConfig, { privileged }: Hook): Partial<ContainerConfig> {
  if (privileged === undefined || privileged === config.privileged) return {}
  if (!privileged)
    return {
      privileged,
      seccomp: 'default',
      systemPaths: 'protected',
      devices: [],
      deviceRules: [],
    }
  return {
    privileged,
    seccomp: 'unconfined',
    systemPaths: 'unconfined',
    devices: [ALL_HOST_DEVICES],
  }
}
