/** Stack -> DesiredState: looks up what the planner may not: images and the digests of contents. */
import { createHash } from 'node:crypto'
import type { StackSource } from '../api/types.ts'
import type { Digest, Image } from '../engine/images/image.ts'
import { checkSupport } from '../planner/compose-findings.ts'
import { ownValue } from '../planner/config-hash.ts'
import { imageNameOf } from '../planner/image-name.ts'
import { withNamedNetworks } from '../planner/network-modes.ts'
import { imageReference } from '../planner/service-fields.ts'
import { TsstackError } from '../errors.ts'
import type { Context } from './context.ts'
import type { ResolvedStack } from './resolved-stack.ts'

const PLATFORM = `linux/${process.arch === 'arm64' ? 'arm64' : 'amd64'}`

/** Ids of images that are to be taken, whatever their names mean now. */
export interface ImagePins {
  /** By service. */
  readonly services?: Readonly<Record<string, Digest>>
  /** By reference: those that are mounted. */
  readonly mounted?: Readonly<Record<string, Digest>>
}

/** sha256 in hexadecimal. */
export function digestOfContent(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}

/**
 * Makes every image of the stack available and computes the digests.
 * @param pins images to be taken instead of what their names mean now
 * @throws {UNIMPLEMENTED} for attributes that are refused, {NOT_FOUND} naming the service whose image is missing
 */
export async function resolveStack(
  context: Context,
  source: StackSource,
  services: readonly string[],
  pins: ImagePins = {},
): Promise<ResolvedStack> {
  const warnings = checkSupport(source.stack, new Set(services), { platform: PLATFORM })
  const images: Record<string, Image> = {}
  await Promise.all(
    services.map(async (name) => {
      images[name] =
        pinned(context, pins.services, name) ?? (await resolveImage(context, source, name))
    }),
  )
  const mountedImages = await resolveMountedImages(context, { source, services, pins })
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
      stack: withNamedNetworks(source.stack),
      disabledServices: source.disabledServices ?? [],
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
  {
    source: { stack, workingDir },
    services,
    pins,
  }: {
    readonly source: StackSource
    readonly services: readonly string[]
    readonly pins: ImagePins
  },
): Promise<Record<string, Image>> {
  const references = services.flatMap((name) =>
    (stack.services[name]?.volumes ?? []).flatMap(({ type, source }) =>
      type === 'image' && source !== undefined ? [imageReference(stack, source)] : [],
    ),
  )
  const images: Record<string, Image> = {}
  for (const reference of new Set(references))
    images[reference] =
      pinned(context, pins.mounted, reference) ??
      (await context.images.resolve(reference, { baseDir: workingDir }))
  return images
}

/** @throws {NOT_FOUND} when the store no longer has it */
function pinned(
  context: Context,
  pins: Readonly<Record<string, Digest>> | undefined,
  key: string,
): Image | undefined {
  const id = pins && ownValue(pins, key)
  if (id === undefined) return undefined
  try {
    return context.images.inspect(id)
  } catch (error) {
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot use image ${id} of "${key}": it is no longer in the local store`,
      { cause: error, hint: 'Pull or import it again under any name' },
    )
  }
}

async function resolveImage(context: Context, source: StackSource, name: string): Promise<Image> {
  const reference = imageNameOf(source.stack, name)
  if (reference === undefined) {
    throw new TsstackError('UNIMPLEMENTED', `Cannot start service "${name}": it has no image`, {
      hint: 'Set "image:" or "build:"',
    })
  }
  try {
    return await context.images.resolve(reference, { baseDir: source.workingDir })
  } catch (error) {
    if (!(error instanceof TsstackError)) throw error
    const hint = error.hint === undefined ? {} : { hint: error.hint }
    throw new TsstackError(error.code, `Cannot start service "${name}": ${error.message}`, {
      cause: error,
      ...hint,
    })
  }
}
