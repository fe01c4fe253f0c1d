/** What is done once when a burst of changes is over: rebuilds, restarts, commands in containers. Each says why. */
import type { Client } from '../client/client.ts'
import { toTsstackError } from '../errors.ts'
import type { Hook } from '../spec/stack.ts'
import type { FollowUps, Reason } from './batch-work.ts'
import { milliseconds } from './sync-lines.ts'
import { ruleName } from './watch-rules.ts'

export interface FollowUpOptions {
  readonly client: Pick<Client, 'lifecycle' | 'containers' | 'exec'>
  readonly stack: string
  readonly say: (line: string) => void
  readonly shorten: (path: string) => string
  /** Builds a service's image and replaces its containers. */
  readonly rebuild: (service: string) => Promise<void>
}

/** A failure is told and ends nothing: the next save is the user's next try. */
export async function runFollowUps(work: FollowUps, options: FollowUpOptions): Promise<void> {
  for (const [service, reason] of work.rebuild)
    await told({ verb: 'rebuild', done: 'rebuilt', service, reason }, options, () =>
      options.rebuild(service),
    )
  for (const [service, reason] of work.restart)
    await told({ verb: 'restart', done: 'restarted', service, reason }, options, () =>
      restart(service, options),
    )
  for (const [rule, reason] of work.exec) {
    const { service, exec } = rule
    if (exec === undefined) continue
    const what = {
      verb: 'run a command in',
      done: `ran ${exec.command.join(' ')} in`,
      service,
      reason,
    }
    await told(what, options, () => execute(service, exec, options))
  }
}

interface Step {
  readonly verb: string
  readonly done: string
  readonly service: string
  readonly reason: Reason
}

async function told(
  { verb, done, service, reason }: Step,
  { say, shorten }: FollowUpOptions,
  act: () => Promise<void>,
): Promise<void> {
  const because = `${shorten(reason.path)} → ${ruleName(reason.rule)}`
  const start = performance.now()
  try {
    await act()
    say(`${because} → ${done} ${service} → ${milliseconds(performance.now() - start)}`)
  } catch (error) {
    const { message, hint } = toTsstackError(error)
    say(
      `${because} → cannot ${verb} ${service}: ${message}${hint === undefined ? '' : ` (${hint})`}`,
    )
  }
}

async function restart(service: string, { client, stack }: FollowUpOptions): Promise<void> {
  for await (const events of client.lifecycle(stack, { action: 'restart', services: [service] })) {
    const failed = events.find((event) => event.type === 'operation' && event.status === 'failed')
    if (failed?.type === 'operation') throw new Error(failed.detail ?? `${failed.name} failed`)
  }
}

/** In every replica at once; what the command says is shown line by line. */
async function execute(
  service: string,
  hook: Hook,
  { client, stack, say }: FollowUpOptions,
): Promise<void> {
  const containers = (await client.containers({ stack })).filter(
    (container) => container.service === service && !container.oneoff,
  )
  await Promise.all(
    containers.map(async ({ id, name }) => {
      const session = await client.exec(id, execRequest(hook))
      let output = ''
      const collect = (bytes: Buffer): void => {
        output += bytes.toString()
        const lines = output.split('\n')
        output = lines.pop() ?? ''
        for (const line of lines) say(`${name} | ${line}`)
      }
      const { exitCode } = await session.run({ onStdout: collect, onStderr: collect })
      if (output !== '') say(`${name} | ${output}`)
      if (exitCode !== 0) throw new Error(`exit code ${String(exitCode)} in ${name}`)
    }),
  )
}

function execRequest(hook: Hook): Parameters<Client['exec']>[1] {
  const { command, user, working_dir: workingDir, privileged, environment } = hook
  const variables = Object.entries(environment ?? {}).filter(
    (pair): pair is [string, string] => pair[1] !== null,
  )
  return {
    command,
    tty: false,
    stdin: false,
    ...(user === undefined ? {} : { user }),
    ...(workingDir === undefined ? {} : { workingDir }),
    ...(privileged === undefined ? {} : { privileged }),
    ...(environment === undefined ? {} : { environment: Object.fromEntries(variables) }),
  }
}
