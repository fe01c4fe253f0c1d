/** Asks registries what there is, and says which reference each image's policy chooses. */
import type { FollowedImage } from '../api/gitops-types.ts'
import { TsstackError, toTsstackError } from '../errors.ts'
import type { RemoteOptions } from '../engine/images/remote-images.ts'
import type { Context } from '../reconciler/context.ts'
import type { CredentialsByRegistry } from '../registry/credentials.ts'
import { parseName, splitRegistry, type NamedReference } from '../registry/image-name.ts'
import { credentialsFor } from '../sources/registry-credentials.ts'
import type { PolicedImage } from './image-policies.ts'
import { isNewerTag, newestTag } from './tag-order.ts'
import { matchTags } from './tag-pattern.ts'

/** Of one look at all images. */
const MAX_MS = 120_000
/** A reference may be written with a scheme. */
const SCHEME = /^docker:\/\//

/** What was found of each image; one that can't be looked at has a message, and the others go on. */
export async function findImageUpdates(
  context: Context,
  images: readonly PolicedImage[],
): Promise<readonly FollowedImage[]> {
  const names = images.map(({ image }) => image)
  const { credentials = {} } = await credentialsFor(process.env, names)
  const registries = new Registries(context, credentials)
  // One after the other: nobody waits for it, and registries count requests.
  const found: FollowedImage[] = []
  for (const policed of images) {
    const { service, image } = policed
    try {
      registries.refuseLate()
      const newer = await newerReference(registries, policed)
      found.push({ service, image, ...(newer === undefined ? {} : { newer }) })
    } catch (error) {
      found.push({ service, image, message: toTsstackError(error).message })
    }
  }
  return found
}

/** @returns the reference as it is to be written, or undefined */
async function newerReference(
  registries: Registries,
  { image, policy }: PolicedImage,
): Promise<string | undefined> {
  const current = parseName(image.replace(SCHEME, ''))
  const tag = await chosenTag(registries, current, policy)
  // A digest beside another tag would go on naming the old image.
  const pins = policy.digest === true || (current.digest !== undefined && tag !== current.tag)
  if (tag === current.tag && !pins) return undefined
  const reference = `${current.name}:${tag}`
  // Also where no digest is written: what is not for this machine is not chosen.
  const digest = await registries.digestOf(reference)
  if (tag === current.tag && digest === current.digest) return undefined
  return `${nameAsWritten(image, current)}:${tag}${pins ? `@${digest}` : ''}`
}

async function chosenTag(
  registries: Registries,
  current: NamedReference,
  policy: PolicedImage['policy'],
): Promise<string> {
  const { tag = 'latest' } = current
  if (policy.semver === undefined && !policy.numerical && !policy.alphabetical) return tag
  const candidates = await matchTags(policy, await registries.tagsOf(current.name))
  const newest = newestTag(policy, candidates)
  if (newest === undefined)
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot update "${current.name}": the policy lets none of its tags through`,
    )
  // Never back: what is written is as new as what was chosen, or newer. So no two daemons can undo each other's work.
  const [own] = await matchTags(policy, [tag])
  return own !== undefined && !isNewerTag(policy, newest.key, own.key) ? tag : newest.tag
}

/** The name as its author wrote it, without tag and digest. */
function nameAsWritten(image: string, { tag, digest }: NamedReference): string {
  const end =
    (digest === undefined ? 0 : digest.length + 1) + (tag === undefined ? 0 : tag.length + 1)
  return image.slice(0, image.length - end)
}

/** Asks for the tags of a repository once, however many services have it. */
class Registries {
  readonly #context: Context
  readonly #credentials: CredentialsByRegistry
  /** The file says how many registries there are, and they how long they take. */
  readonly #late = AbortSignal.timeout(MAX_MS)
  readonly #tags = new Map<string, Promise<readonly string[]>>()

  constructor(context: Context, credentials: CredentialsByRegistry) {
    this.#context = context
    this.#credentials = credentials
  }

  /** Patterns take their time as well, also when nobody is asked. @throws {UNAVAILABLE} */
  refuseLate(): void {
    if (!this.#late.aborted) return
    throw new TsstackError(
      'UNAVAILABLE',
      `Cannot look for newer images: all together took longer than ${String(MAX_MS / 1000)} s`,
    )
  }

  tagsOf(name: string): Promise<readonly string[]> {
    const known = this.#tags.get(name)
    if (known !== undefined) return known
    const asked = this.#context.images.remote.tags(name, this.#login(name))
    this.#tags.set(name, asked)
    return asked
  }

  digestOf(reference: string): Promise<string> {
    return this.#context.images.remote.digestOf(reference, this.#login(reference))
  }

  #login(reference: string): RemoteOptions {
    const { registry } = splitRegistry(parseName(reference).name)
    return { credentials: this.#credentials[registry], signal: this.#late }
  }
}
