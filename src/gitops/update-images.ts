/**
 * Writes newer images into the repository. All that comes of it is a commit, which is then followed like any other: loaded,
 * held against the policy, approved, applied, gated on health. It can't go on for ever by itself: a tag is only replaced by
 * a newer one (find-image-updates.ts), and what somebody has taken back is not written again.
 */
import { relative } from 'node:path'
import type { FollowedImage, ImageUpdates } from '../api/gitops-types.ts'
import { toTsstackError, TsstackError } from '../errors.ts'
import { log } from '../log.ts'
import { isWithin, realOrSame } from './confined-files.ts'
import { editReferences, type ReferenceEdit } from './edit-references.ts'
import { progressOf, record, type GitopsEngine } from './engine.ts'
import { findImageUpdates } from './find-image-updates.ts'
import { mayChangeAt } from './freeze-windows.ts'
import { pushAccess } from './git-access.ts'
import type { PolicedImage } from './image-policies.ts'
import { pushCommit, type PushOutcome } from './push-commit.ts'
import type { ImageUpdateRecord, SourceRecord } from './source-records.ts'

export interface ImageLook {
  readonly source: SourceRecord
  /** The commit that was looked at. */
  readonly commit: string
  /** Its files; absolute and real. */
  readonly root: string
  readonly images: readonly PolicedImage[]
  /** Whatever the interval says. */
  readonly now: boolean
  /** Also what was taken back. */
  readonly force: boolean
}

/**
 * Throws nothing: what became of it is in the record.
 * @returns why the repository is to be looked at again at once: it has our commit, or somebody's that came first
 */
export async function updateImages(
  engine: GitopsEngine,
  look: ImageLook,
): Promise<PushOutcome['kind'] | undefined> {
  const { source, images } = look
  const updates = source.imageUpdates
  const known = progressOf(engine, source.name).imageUpdates ?? { images: [] }
  if (updates === undefined) return undefined
  if (!isSettled(engine, look) || !(look.now || isDue(known, updates))) return undefined
  const found = await findImageUpdates(engine.context, images)
  const checkedAt = new Date().toISOString()
  const { message: _, ...rest } = known
  const looked = { ...rest, images: withoutTakenBack(found, known, look), checkedAt }
  const wanted = looked.images.filter(({ newer, message }) => newer !== undefined && !message)
  try {
    if (wanted.length === 0 || !mayChangeAt(new Date(), source)) {
      save(engine, look, looked)
      return undefined
    }
    const outcome = await write(engine, look, { updates, wanted })
    save(engine, look, outcome.kind === 'pushed' ? afterPush(looked, wanted, outcome) : looked)
    return outcome.kind === 'pushed' && updates.branch !== undefined ? undefined : outcome.kind
  } catch (error) {
    const { message } = toTsstackError(error)
    log.warn('cannot update images', { source: source.name, error })
    save(engine, look, { ...looked, message })
    return undefined
  }
}

/** What runs is what this commit asks for. A bad commit is answered by people. */
function isSettled(engine: GitopsEngine, { source, commit }: ImageLook): boolean {
  const { ready, applied, applying, held, pending } = progressOf(engine, source.name)
  const waits = [applying, held, pending].some((one) => one !== undefined)
  return ready === 'True' && applied?.commit === commit && !waits
}

function isDue({ checkedAt }: ImageUpdateRecord, { intervalSeconds }: ImageUpdates): boolean {
  return checkedAt === undefined || Date.now() >= Date.parse(checkedAt) + intervalSeconds * 1000
}

function withoutTakenBack(
  found: readonly FollowedImage[],
  { written = {} }: ImageUpdateRecord,
  { force }: ImageLook,
): readonly FollowedImage[] {
  return found.map((image) => {
    const { newer, service } = image
    if (force || newer === undefined || written[service] !== newer) return image
    return { ...image, message: `"${newer}" was written, and is not in the repository` }
  })
}

interface Writing {
  readonly updates: ImageUpdates
  readonly wanted: readonly FollowedImage[]
}

function write(
  { checkouts: { scratch } }: GitopsEngine,
  look: ImageLook,
  { updates, wanted }: Writing,
): Promise<PushOutcome> {
  const { source, commit: base } = look
  const { branch, author, signKeyFile } = updates
  return pushCommit({
    access: pushAccess(source, updates),
    base,
    edits: editsOf(look, wanted),
    message: messageOf(source, updates, wanted),
    author,
    scratch,
    ...(branch === undefined ? {} : { branch }),
    ...(signKeyFile === undefined ? {} : { signKeyFile }),
  })
}

/** @throws {FAILED_PRECONDITION} two services have one reference, and want different ones */
function editsOf(
  { root, images }: ImageLook,
  wanted: readonly FollowedImage[],
): ReadonlyMap<string, (text: string) => string> {
  const edits = new Map<string, Map<string, ReferenceEdit>>()
  for (const { service, image: from, newer: to = '' } of wanted) {
    const position = images.find((one) => one.service === service)?.position
    const path = pathOf(root, position?.file)
    if (position === undefined || path === undefined) throw notWritten(service)
    const { line, column } = position
    const place = `${String(line)}:${String(column)}`
    const inFile = edits.get(path) ?? new Map<string, ReferenceEdit>()
    if ((inFile.get(place)?.to ?? to) !== to) throw disagree(service, from)
    edits.set(path, inFile.set(place, { line, column, from, to }))
  }
  return new Map(
    [...edits].map(([path, inFile]) => [
      path,
      (text: string) => editReferences(text, [...inFile.values()]),
    ]),
  )
}

function notWritten(service: string): TsstackError {
  return new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot update the image of "${service}": it is written in no file of the repository`,
  )
}

function disagree(service: string, image: string): TsstackError {
  return new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot update the image of "${service}": the policies of services that share "${image}" disagree`,
  )
}

function pathOf(root: string, file: string | undefined): string | undefined {
  if (file === undefined) return undefined
  const real = realOrSame(file)
  return isWithin(root, real) ? relative(root, real) : undefined
}

function messageOf(
  { name, stack }: SourceRecord,
  { message }: ImageUpdates,
  wanted: readonly FollowedImage[],
): string {
  const changes = wanted.map(({ service, newer = '' }) => `${service} ${newer}`).join(', ')
  const words: Readonly<Record<string, string>> = { source: name, stack, changes }
  const subject = message.replaceAll(
    /\{(source|stack|changes)\}/g,
    (_, word: string) => words[word] ?? '',
  )
  return `${subject}\n\n${changesOf(wanted).join('\n')}\n`
}

function changesOf(wanted: readonly FollowedImage[]): string[] {
  return wanted.map(({ service, image, newer = '' }) => `${service}: ${image} -> ${newer}`)
}

function afterPush(
  looked: ImageUpdateRecord,
  wanted: readonly FollowedImage[],
  { commit, branch }: Extract<PushOutcome, { kind: 'pushed' }>,
): ImageUpdateRecord {
  const written = Object.fromEntries(wanted.map(({ service, newer = '' }) => [service, newer]))
  const at = new Date().toISOString()
  return {
    ...looked,
    pushed: { commit, branch, at, changes: changesOf(wanted) },
    written: { ...looked.written, ...written },
  }
}

function save(engine: GitopsEngine, look: ImageLook, after: ImageUpdateRecord): void {
  const { source, commit } = look
  const before = progressOf(engine, source.name).imageUpdates
  const { ready } = record(engine, source, { imageUpdates: after })
  const { pushed, message } = after
  if (pushed !== undefined && pushed.commit !== before?.pushed?.commit)
    emit(engine, source, 'gitops: images updated', { commit: pushed.commit, branch: pushed.branch })
  // What stays the same is told once.
  if (message === undefined || message === before?.message) return
  emit(engine, source, 'gitops: image update failed', { message })
  const time = after.checkedAt ?? new Date().toISOString()
  engine.tell(source, { ready, reason: 'ImageUpdateFailed', message, commit, time })
}

function emit(
  { context }: GitopsEngine,
  { name, stack }: SourceRecord,
  action: string,
  attributes: Readonly<Record<string, string>>,
): void {
  const about = { source: name, ...attributes }
  context.events.emit({ type: 'stack', action, stack, id: stack, attributes: about })
}
