/** `down --rmi`: the images that go with a stack. */
import { imageNameOf } from '../planner/image-name.ts'
import { toTsstackError } from '../errors.ts'
import { DRY_RUN_PREFIX, warningLine } from './progress-view.ts'
import { declaredStack, isFileMeant, type StackAtHand } from './select-containers.ts'

/**
 * Those that its containers are of, and those that the stack file names: what was built or pulled and never run goes, too.
 * @param which - `all`, or `local` for those that were built without a name of their own
 * @param services - of these only; absent: of all
 */
export async function imagesOfStack(
  { context, client, stack }: StackAtHand,
  which: string | undefined,
  services: readonly string[] | undefined,
): Promise<readonly string[]> {
  if (which === undefined) return []
  const isMeant = (service: string): boolean => services?.includes(service) ?? true
  const builtName = (service: string): string => `${stack}-${service}`
  const ofContainers = (await client.containers({ stack, all: true })).map(
    ({ service, image }) => ({ service, image }),
  )
  // A file with mistakes must not keep a stack from going down.
  const declared = (await declaredStack(context).catch(() => undefined))?.stack
  const ofFile = Object.keys(declared?.services ?? {}).flatMap((service) => {
    const image = declared === undefined ? undefined : imageNameOf(declared, service)
    const isOwn = image === builtName(service) || isFileMeant(context)
    return image === undefined || !isOwn ? [] : { service, image }
  })
  const wanted = [...ofContainers, ...ofFile]
    .filter(({ service }) => isMeant(service))
    .filter(({ service, image }) => which === 'all' || image === builtName(service))
  return [...new Set(wanted.map(({ image }) => image))].toSorted()
}

/**
 * What another stack uses stays, with a warning; what is not here is nothing to remove.
 * @returns whether there was any
 */
export async function removeImages(
  { context: { global, output }, client }: StackAtHand,
  images: readonly string[],
): Promise<boolean> {
  let hasRemoved = false
  for (const image of images) {
    try {
      await client.removeImages({ images: [image] })
      hasRemoved = true
      if (global.progress !== 'quiet')
        output.note(` ${global.dryRun ? DRY_RUN_PREFIX : ''}Image ${image} Removed`)
    } catch (error) {
      const { code, message } = toTsstackError(error)
      if (code !== 'NOT_FOUND') output.note(warningLine(message, global.progress))
    }
  }
  return hasRemoved
}
