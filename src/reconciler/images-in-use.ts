import type { ContainerConfig } from '../engine/container-config.ts'
import { isDigest, type Digest } from '../engine/images/image.ts'
import type { ImagesInUse } from '../engine/images/image-usage.ts'
import { imageNameOf } from '../planner/image-name.ts'
import type { Stack } from '../spec/stack.ts'
import type { Context } from './context.ts'

/** Its own, and those that it mounts. */
function imagesOf({ image, mounts }: ContainerConfig): Digest[] {
  const mounted = mounts.flatMap((mount) => (mount.kind === 'image' ? [mount.image.id] : []))
  return [image.id, ...mounted].filter(isDigest)
}

/** Revisions of a stack that one can surely go back to. */
const GOOD_REVISIONS = 3

/** What the current revision of each stack has, and the last good ones before it. */
function imagesOfRevisions(context: Context): Digest[] {
  return context.stacks.values().flatMap(({ name }) => {
    const [current, ...earlier] = context.revisions.list(name)
    const good = earlier.filter(({ outcome }) => outcome.status === 'succeeded')
    return [...(current === undefined ? [] : [current]), ...good.slice(0, GOOD_REVISIONS)]
      .flatMap((revision) => [
        ...Object.values(revision.imageDigests),
        ...Object.values(revision.mountedImageDigests),
      ])
      .filter(isDigest)
  })
}

/** Stacks that are being brought up: what is pulled and built for them is in no record yet. */
const comingUp = new Set<Stack>()

/** What a stack names stays while it is brought up. */
export async function whileComingUp<T>(stack: Stack, work: () => Promise<T>): Promise<T> {
  comingUp.add(stack)
  try {
    return await work()
  } finally {
    comingUp.delete(stack)
  }
}

/** What the services of every stack name now. */
function imagesOfStacks(context: Context): Digest[] {
  const stacks = [...context.stacks.values().map(({ stack }) => stack), ...comingUp]
  return stacks.flatMap((stack) =>
    Object.keys(stack.services).flatMap((service) => {
      const name = imageNameOf(stack, service)
      return name === undefined ? [] : idOf(context, name)
    }),
  )
}

function idOf(context: Context, reference: string): Digest[] {
  try {
    return [context.images.inspect(reference).id]
  } catch {
    return [] // it isn't here, or is no name that a store can have
  }
}

/** Images that containers have, running or not. */
export function imagesInUse(context: Context): ImagesInUse {
  const users = new Map<Digest, string[]>()
  for (const { config } of context.containers.values())
    for (const id of imagesOf(config))
      users.set(id, [...(users.get(id) ?? []), `container "${config.name}"`])
  return users
}

/** What no clean-up takes: images in use, those that a stack names, and those that a rollback would need. */
export function imagesToKeep(context: Context): ImagesInUse {
  const stacks = [...imagesOfStacks(context), ...imagesOfRevisions(context)]
  return new Map([
    ...stacks.map((id): [Digest, readonly string[]] => [id, ['a stack']]),
    ...imagesInUse(context),
  ])
}
