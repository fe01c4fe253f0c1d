/** What `watch` and `up --watch` give to src/watch: how a stack is loaded, brought up and shown on this terminal. */
import type { StackSource, UpRequest } from '../api/types.ts'
import type { Client } from '../client/client.ts'
import { loadWithServices } from '../sources/load-sources.ts'
import { credentialsForStack } from '../sources/registry-credentials.ts'
import type { LoadedStack } from '../spec/loaded-stack.ts'
import { createStackWatch, type StackWatch } from '../watch/stack-watch.ts'
import type { CommandContext } from './command.ts'
import { explainError } from './error-text.ts'
import { paintPlan } from './paint-plan.ts'
import { showProgress, withQuiet } from './progress.ts'
import { toSourceOptions } from './stack-source.ts'
import { createStyle } from './style.ts'
import { sourceOf } from './up-options.ts'

export interface WatchStack {
  readonly context: CommandContext
  readonly client: Client
  /** As the stack is brought up at first; the services that it names are followed, without names all. */
  readonly request: UpRequest
}

/** An object to start and stop: nothing is followed yet. Lines go to standard error. */
export function watchStack(watching: WatchStack): StackWatch {
  const { context, client, request } = watching
  const services = request.options.services ?? []
  const { output } = context
  const style = createStyle(output.errorColor)
  const say = (line: string): void => {
    output.note(`${style.cyan('watch')} ${line}`)
  }
  // Read once: standard input has nothing more to give.
  const sources = toSourceOptions(context)
  return createStackWatch({
    client,
    source: request,
    services,
    say,
    explain: (error) => explainError(error, style),
    load: (onLook) => loadWithServices({ ...sources, onLook }, services),
    apply: (next) => apply(watching, next, say),
    rebuild: (built, service) => rebuild(watching, built, service),
  })
}

/** As `up --build --no-deps` of the one service: what depends on it is left alone. */
async function rebuild(
  { context, client, request }: WatchStack,
  { stack, files, workingDir, contents, disabledServices = [] }: StackSource,
  service: string,
): Promise<void> {
  const options: UpRequest['options'] = {
    ...request.options,
    services: [service],
    noDeps: true,
    build: 'always',
  }
  const login = await credentialsForStack(context.env, stack)
  const asked = { stack, files, workingDir, contents, disabledServices, options, ...login }
  const before = await client.containers({ stack: stack.name, all: true })
  await showProgress(client.up(stack.name, asked), withQuiet(context))
  const replaced = before.filter((container) => container.service === service)
  if (!context.flags.has('prune') || context.flags.bool('prune'))
    await removeReplaced(client, new Set(replaced.map(({ imageId }) => imageId)))
}

/** Of these images those that have lost their name to a newer one, and that no container is of. */
async function removeReplaced(client: Client, ids: ReadonlySet<string>): Promise<void> {
  for (const { id, reference, containers } of await client.imageList()) {
    if (!ids.has(id) || reference !== undefined || containers > 0) continue
    // Somebody may have taken it up meanwhile: then it stays.
    await client.removeImages({ images: [id] }).catch(() => undefined)
  }
}

/** Shows the plan of an edit, then carries it out. */
async function apply(
  { context, client, request: first }: WatchStack,
  next: LoadedStack,
  say: (line: string) => void,
): Promise<void> {
  const { forceRecreate, ...options } = first.options
  const request: UpRequest = {
    ...sourceOf(next),
    options,
    ...(await credentialsForStack(context.env, next.stack)),
  }
  const { plan, text } = await client.plan(next.stack.name, request)
  if (plan.operations.length === 0) {
    say('the stack file has changed; nothing is to be done')
    return
  }
  say(
    `the stack file has changed:\n${paintPlan(text.trimEnd(), createStyle(context.output.errorColor))}`,
  )
  await showProgress(client.up(next.stack.name, request), context)
}
