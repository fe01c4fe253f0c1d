/** What `pull` and `push` have in common: images of the services of a stack file, or by name. */
import type { TransferRequest } from '../api/image-types.ts'
import type { ProgressEvent, StackSource } from '../api/types.ts'
import type { Client } from '../client/client.ts'
import { credentialsFor, credentialsForStack } from '../sources/registry-credentials.ts'
import type { CommandContext } from './command.ts'
import { showProgress, withQuiet } from './progress.ts'
import { loadWithServices } from './stack-source.ts'
import { sourceOf } from './up-options.ts'

type Progress = AsyncIterable<readonly ProgressEvent[]>

/** Transfers images by name; the stack file is not needed. @returns the exit code */
export async function transferByName(
  context: CommandContext,
  references: readonly string[],
  send: (client: Client, request: TransferRequest) => Progress,
): Promise<number> {
  const client = await context.client()
  const platform = context.flags.text('platform')
  const request = {
    references,
    ...(platform === undefined ? {} : { platform }),
    ...(await credentialsFor(context.env, references)),
  }
  await showProgress(send(client, request), withQuiet(context))
  return 0
}

/** Options of both directions, by their flags. */
export interface ServiceTransfer extends StackSource {
  readonly options: {
    readonly services: readonly string[]
    readonly includeDeps: boolean
    readonly ignoreFailures: boolean
  }
}

/** What is asked of the daemon for the images of the services that the command line names, or of all. */
export async function serviceTransfer(
  context: CommandContext,
  ignoreFlag: 'ignore-pull-failures' | 'ignore-push-failures',
): Promise<ServiceTransfer> {
  const { flags, positional, env } = context
  const loaded = await loadWithServices(context, positional)
  return {
    ...sourceOf(loaded),
    options: {
      services: positional,
      includeDeps: flags.bool('include-deps'),
      ignoreFailures: flags.bool(ignoreFlag),
    },
    ...(await credentialsForStack(env, loaded.stack)),
  }
}
