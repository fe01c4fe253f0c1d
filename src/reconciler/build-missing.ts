/** What `up` and `run` build before they start: images that are not here, or all when asked. */
import type { BuildRequest } from '../api/build-types.ts'
import type { ProgressEvent, StackSource } from '../api/types.ts'
import type { CredentialsByRegistry } from '../registry/credentials.ts'
import { imageNameOf } from '../planner/image-name.ts'
import { TsstackError } from '../errors.ts'
import { buildServices } from './build-stack.ts'
import type { Context } from './context.ts'
import { isImageHere } from './pull-services.ts'

interface Wanted extends StackSource {
  readonly options: {
    /** `always`: whether they are here or not. Absent: what is missing, and what `pull_policy: build` is for. */
    readonly build?: 'always' | 'never'
    readonly ssh?: Readonly<Record<string, string>>
  }
  readonly credentials?: CredentialsByRegistry
}

/** @throws {NOT_FOUND} an image is missing and is not to be built */
export async function buildMissing(
  context: Context,
  { options, credentials, ...source }: Wanted,
  services: readonly string[],
  follower: {
    readonly tell: (event: ProgressEvent) => void
    readonly signal?: AbortSignal | undefined
  },
): Promise<void> {
  const { stack, files, workingDir, contents, origin } = source
  const isMissing = (name: string): boolean =>
    !isImageHere(context, imageNameOf(stack, name) ?? name)
  const buildable = services.filter((name) => stack.services[name]?.build !== undefined)
  if (options.build === 'never') {
    const missing = buildable.find(isMissing)
    if (missing === undefined) return
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot start service "${missing}": its image is not built`,
      {
        hint: 'Build it with "tsstack build", or leave out --no-build',
      },
    )
  }
  const isDue = (name: string): boolean =>
    options.build === 'always' || stack.services[name]?.pull_policy === 'build' || isMissing(name)
  const { ssh } = options
  const request: BuildRequest = {
    ...{ stack, files, workingDir, contents },
    ...(origin === undefined ? {} : { origin }),
    options: ssh === undefined ? {} : { ssh },
    ...(credentials === undefined ? {} : { credentials }),
  }
  const signal = follower.signal ?? new AbortController().signal
  await buildServices(context, request, buildable.filter(isDue), { tell: follower.tell, signal })
}
