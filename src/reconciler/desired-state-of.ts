/** Stack -> DesiredState: looks up what the planner may not: images and the digests of contents. */
import { createHash } from 'node:crypto'
import type { StackSource } from '../api/types.ts'
import type { Image } from '../engine/images/image.ts'
import { checkSupport } from '../planner/compose-findings.ts'
import { imageReference } from '../planner/service-fields.ts'
import { TsstackError } from '../errors.ts'
import type { Context } from './context.ts'
import type { ResolvedStack } from './resolved-stack.ts'

const PLATFORM = `linux/${process.arch === 'arm64' ? 'arm64' : 'amd64'}`

/** sha256 in hexadecimal. */
export function digestOfContent(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}

/**
 * Makes every image of the stack available and computes the digests.
 * @param onImage told before an image is assembled or imported
 * @throws {UNIMPLEMENTED} for attributes that are refused, {NOT_FOUND} naming the service whose image is missing
 */
export async function resolveStack(
  context: Context,
  source: StackSource,
  services: readonly string[],
): Promise<ResolvedStack> {
  const warnings = checkSupport(source.stack, new Set(services), { platform: PLATFORM })
  const images: Record<string, Image> = {}
  await Promise.all(
    services.map(async (name) => {
      images[name] = await resolveImage(context, source, name)
    }),
  )
  const mountedImages = await resolveMountedImages(context, source, services)
  const digests = (contents: Readonly<Record<string, string>>): Record<string, string> =>
    Object.fromEntries(
      Object.entries(contents).map(([key, base64]) => [
        key,
        digestOfContent(Buffer.from(base64, 'base64')),
      ]),
    )
  return {
    source,
    warnings,
    images,
    mountedImages,
    desired: {
      stack: source.stack,
      imageDigests: Object.fromEntries(
        Object.entries(images).map(([name, image]) => [name, image.id]),
      ),
      mountedImageDigests: Object.fromEntries(
        Object.entries(mountedImages).map(([reference, image]) => [reference, image.id]),
      ),
      contentDigests: {
        configs: digests(source.contents.configs),
        secrets: digests(source.contents.secrets),
      },
    },
  }
}

async function resolveMountedImages(
  context: Context,
  { stack, workingDir }: StackSource,
  services: readonly string[],
): Promise<Record<string, Image>> {
  const references = services.flatMap((name) =>
    (stack.services[name]?.volumes ?? []).flatMap(({ type, source }) =>
      type === 'image' && source !== undefined ? [imageReference(stack, source)] : [],
    ),
  )
  const images: Record<string, Image> = {}
  for (const reference of new Set(references))
    images[reference] = await context.images.resolve(reference, { baseDir: workingDir })
  return images
}

async function resolveImage(context: Context, source: StackSource, name: string): Promise<Image> {
  const service = source.stack.services[name]
  if (service?.image === undefined) {
    throw new TsstackError('UNIMPLEMENTED', `Cannot start service "${name}": it has no image`, {
      hint: 'Set "image:"; building comes in a later release',
    })
  }
  try {
    return await context.images.resolve(service.image, { baseDir: source.workingDir })
  } catch (error) {
    if (!(error instanceof TsstackError)) throw error
    const hint = error.hint === undefined ? {} : { hint: error.hint }
    throw new TsstackError(error.code, `Cannot start service "${name}": ${error.message}`, {
      cause: error,
      ...hint,
    })
  }
}
