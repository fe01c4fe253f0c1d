/** RUN of a stage: a program in a container of its own, on what the stage has so far. */
import { TsstackError } from '../errors.ts'
import type { RunStep } from './build-input.ts'
import type { Instruction, RunInstruction } from './dockerfile/instruction.ts'
import { valueIn } from './dockerfile/stages.ts'
import { addLayer, type StageBuild } from './layer-step.ts'
import { PROXY_ARGUMENTS } from './platform-arguments.ts'
import type { RunMount } from './run-mount.ts'
import { readRunMounts, withRunMounts } from './run-mounts.ts'
import { commandWords } from './stage-state.ts'
import { stepKey } from './step-key.ts'

type Run = Instruction & RunInstruction

const MAX_COMMAND = 60
/** What programs that ask find with BuildKit, too: it may end up in a layer. */
const HOSTNAME = 'buildkitsandbox'

/** What the program sees: ENV wins over ARG. */
function environmentOf({ state, build }: StageBuild): {
  readonly visible: Readonly<Record<string, string>>
  readonly keyed: Readonly<Record<string, string>>
} {
  const proxies = Object.entries(build.input.args).filter(([name]) => PROXY_ARGUMENTS.has(name))
  const keyed = { ...state.args, ...state.config.env }
  return { keyed, visible: { ...Object.fromEntries(proxies), ...keyed } }
}

function networkOf({ build }: StageBuild, { network }: Run): string {
  const options = build.input.run
  if (network === undefined || network === 'default') return options.network
  if (network !== 'none' && network !== 'host')
    throw new TsstackError('INVALID_ARGUMENT', `"--network=${network}" is none, host or default`)
  if (network === 'host' && options.network !== 'host')
    requireEntitlement(options.entitlements, 'network.host')
  return network
}

function requireEntitlement(entitlements: readonly string[], wanted: string): void {
  if (entitlements.includes(wanted)) return
  throw new TsstackError('PERMISSION_DENIED', `it needs the entitlement "${wanted}"`, {
    hint: `Allow it in the stack file: "build.entitlements: [${wanted}]"`,
  })
}

function isInsecure({ build }: StageBuild, { security }: Run): boolean {
  const { privileged, entitlements } = build.input.run
  if (security !== undefined && security !== 'sandbox' && security !== 'insecure')
    throw new TsstackError('INVALID_ARGUMENT', `"--security=${security}" is sandbox or insecure`)
  if (security === 'insecure' && !privileged) requireEntitlement(entitlements, 'security.insecure')
  return security === 'insecure' || (security === undefined && privileged)
}

function argvOf({ state }: StageBuild, run: Run): readonly string[] {
  if (run.script === undefined) return commandWords(run.command, state.config)
  const [line = ''] = run.script.slice('#!'.length).split('\n', 1)
  const [interpreter = '', ...rest] = line.trim().split(/[ \t]+/)
  // As the kernel has it: all that follows is one argument.
  return [interpreter, ...(rest.length === 0 ? [] : [rest.join(' ')]), SCRIPT_FILE]
}

/** Where a here-document lies that is a program of its own. */
const SCRIPT_FILE = '/dev/pipes/EOF'

function scriptMount(run: Run): RunStep['mounts'] {
  if (run.script === undefined) return []
  const content = Buffer.from(run.script)
  return [{ kind: 'secret', target: SCRIPT_FILE, content, mode: 0o755, uid: 0, gid: 0 }]
}

/** As BuildKit does: ssh finds the agent of the first `--mount=type=ssh`. */
function agentOf(mounts: RunStep['mounts']): Readonly<Record<string, string>> {
  const agent = mounts.find(({ kind }) => kind === 'socket')
  return agent === undefined ? {} : { SSH_AUTH_SOCK: agent.target }
}

function secretsOf(mounts: readonly RunMount[]): Readonly<Record<string, string>> {
  return Object.assign({}, ...mounts.map(({ environment }) => environment)) as Record<
    string,
    string
  >
}

function failure(run: Run, exitCode: number, tail: readonly string[]): TsstackError {
  const words = run.command.form === 'exec' ? run.command.words.join(' ') : run.command.line
  const line = words.replaceAll(/\s+/g, ' ').trim()
  const shown = line.length > MAX_COMMAND ? `${line.slice(0, MAX_COMMAND)}…` : line
  const output = tail.map((each) => `\n  | ${each}`).join('')
  return new TsstackError(
    'FAILED_PRECONDITION',
    `"${shown}" ended with exit code ${exitCode}${output}`,
  )
}

async function execute(
  stage: StageBuild,
  run: Run,
  step: Omit<RunStep, 'onOutput' | 'signal' | 'options'>,
): Promise<void> {
  const { build } = stage
  const log = build.log.of(run)
  const exitCode = await build.host.run({
    ...step,
    options: build.input.run,
    onOutput: (bytes) => log?.output(bytes),
    signal: build.signal,
  })
  build.signal.throwIfAborted()
  if (exitCode !== 0) throw failure(run, exitCode, log?.tail() ?? [])
}

/** @returns whether what it made was known already */
export async function runStep(stage: StageBuild, run: Run): Promise<boolean> {
  const { build, state } = stage
  const { layers, config } = state
  const isPrivileged = isInsecure(stage, run)
  const owner = isPrivileged ? 0 : build.host.owner
  const mounts: readonly RunMount[] = readRunMounts(stage, run, owner)
  const { visible, keyed } = environmentOf(stage)
  const workingDir = config.workingDir ?? '/'
  const fixed = {
    hostname: valueIn('BUILDKIT_SANDBOX_HOSTNAME', build.input.args) ?? HOSTNAME,
    argv: argvOf(stage, run),
    workingDir,
    ...(config.user === undefined ? {} : { user: config.user }),
    network: networkOf(stage, run),
    isInsecure: isPrivileged,
  }
  const sources = await Promise.all(mounts.map((mount) => mount.identity()))
  const key = stepKey(layers, {
    ...{ kind: 'run', ...fixed, environment: keyed, script: run.script, epoch: build.epoch },
    ...{ extraHosts: build.input.run.extraHosts.toSorted(), scope: build.host.scope },
    mounts: mounts.map(({ options }, index) => ({ ...options, content: sources[index] ?? '' })),
  })
  return addLayer(stage, {
    instruction: run,
    key,
    layers,
    owner,
    make: (draft) =>
      withRunMounts(mounts, (opened) =>
        execute(stage, run, {
          ...fixed,
          draft,
          environment: { ...agentOf(opened), ...visible, ...secretsOf(mounts) },
          mounts: [...scriptMount(run), ...opened],
        }),
      ),
  })
}
