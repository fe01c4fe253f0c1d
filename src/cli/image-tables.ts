/** Images as tables and rows. Pure. */
import type {
  HistoryEntry,
  ImageListEntry,
  RemovedImagesResponse,
  UsageDetails,
  UsageRow,
} from '../api/image-types.ts'
import { ellipsis, humanDuration, humanSize } from './human.ts'
import { splitReference } from './image-reference.ts'
import { formatTable } from './table.ts'

const SHORT_ID = 12
const SHOWN_STEP = 45

/** Docker's headers, where they are not the field's name. */
export const IMAGE_TITLES = { ID: 'IMAGE ID', CreatedSince: 'CREATED', CreatedAt: 'CREATED AT' }

export interface ImageListRow extends Readonly<Record<string, unknown>> {
  readonly Repository: string
  readonly Tag: string
  readonly Digest: string
  readonly ID: string
  readonly CreatedAt: string
  readonly CreatedSince: string
  readonly Size: string
  readonly Containers: string
}

function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, SHORT_ID)
}

function since(time: string, nowMs: number): string {
  const at = Date.parse(time)
  return at > 0 ? `${humanDuration(nowMs - at)} ago` : 'N/A'
}

/** Sorted by name; those without one last. */
export function toListRows(
  images: readonly ImageListEntry[],
  options: { readonly nowMs: number; readonly isFull: boolean },
): readonly ImageListRow[] {
  const key = ({ reference, id }: ImageListEntry): string => reference ?? `\uffff${id}`
  return images
    .toSorted((a, b) => (key(a) < key(b) ? -1 : 1))
    .map(({ id, reference, remoteDigest, createdAt, sizeBytes, containers }) => {
      const [repository, tag] =
        reference === undefined ? ['<none>', '<none>'] : splitReference(reference)
      const isDigest = reference?.includes('@') === true
      return {
        Repository: repository,
        Tag: isDigest || tag === '' ? '<none>' : tag,
        Digest: isDigest ? reference.slice(reference.indexOf('@') + 1) : (remoteDigest ?? '<none>'),
        ID: options.isFull ? id : shortId(id),
        CreatedAt: createdAt,
        CreatedSince: since(createdAt, options.nowMs),
        Size: humanSize(sizeBytes),
        Containers: String(containers),
      }
    })
}

export function formatImageList(
  rows: readonly ImageListRow[],
  { width, digests }: { readonly width: number | undefined; readonly digests: boolean },
): string {
  const digest = (text: string): readonly string[] => (digests ? [text] : [])
  return formatTable(
    ['REPOSITORY', 'TAG', ...digest('DIGEST'), 'IMAGE ID', 'CREATED', 'SIZE'],
    rows.map((row) => [
      ...[row.Repository, row.Tag, ...digest(row.Digest)],
      ...[row.ID, row.CreatedSince, row.Size],
    ]),
    digests ? undefined : width,
  )
}

/** Docker's headers, where they are not the field's name. */
export const HISTORY_TITLES = {
  ID: 'IMAGE',
  CreatedSince: 'CREATED',
  CreatedAt: 'CREATED AT',
  CreatedBy: 'CREATED BY',
}

interface HistoryRow extends Readonly<Record<string, unknown>> {
  /** `<missing>` but for the last step: no image is kept of the others. */
  readonly ID: string
  readonly CreatedAt: string
  readonly CreatedSince: string
  readonly CreatedBy: string
  readonly Size: string
  readonly Comment: string
}

export function toHistoryRows(
  entries: readonly HistoryEntry[],
  options: {
    readonly id: string
    readonly nowMs: number
    readonly isFull: boolean
    /** Sizes and ages in words; else bytes and dates. */
    readonly isHuman: boolean
  },
): readonly HistoryRow[] {
  const { id, nowMs, isFull, isHuman } = options
  return entries.map(({ created = '', createdBy, sizeBytes, comment }, index) => ({
    ID: index > 0 ? '<missing>' : isFull ? id : shortId(id),
    CreatedAt: created,
    CreatedSince: isHuman ? since(created, nowMs) : created,
    CreatedBy: isFull ? createdBy : ellipsis(createdBy, SHOWN_STEP),
    Size: isHuman ? humanSize(sizeBytes) : String(sizeBytes),
    Comment: comment,
  }))
}

export function formatHistory(rows: readonly HistoryRow[]): string {
  return formatTable(
    ['IMAGE', 'CREATED', 'CREATED BY', 'SIZE', 'COMMENT'],
    rows.map((row) => [row.ID, row.CreatedSince, row.CreatedBy, row.Size, row.Comment]),
  )
}

/** As Docker says it: `Untagged: …`, `Deleted: …`. */
export function removedLines({ untagged, deleted }: RemovedImagesResponse): readonly string[] {
  return [...untagged.map((name) => `Untagged: ${name}`), ...deleted.map((id) => `Deleted: ${id}`)]
}

export function formatUsage(rows: readonly UsageRow[]): string {
  const share = ({ sizeBytes, reclaimableBytes }: UsageRow): string => {
    const percent = sizeBytes === 0 ? 0 : Math.floor((reclaimableBytes / sizeBytes) * 100)
    return `${humanSize(reclaimableBytes)} (${String(percent)}%)`
  }
  return formatTable(
    ['TYPE', 'TOTAL', 'ACTIVE', 'SIZE', 'RECLAIMABLE'],
    rows.map((row) => [
      row.type,
      String(row.total),
      String(row.active),
      humanSize(row.sizeBytes),
      share(row),
    ]),
  )
}

/** As `docker system df -v`: a table for each kind of thing. */
export function formatUsageDetails({ images, containers, volumes }: UsageDetails): string {
  const table = (title: string, head: readonly string[], rows: readonly string[][]): string =>
    `${title}:\n\n${formatTable(head, rows)}`
  const named = (reference = ''): readonly string[] =>
    reference === '' ? ['<none>', '<none>'] : splitReference(reference)
  return [
    table(
      'Images space usage',
      ['REPOSITORY', 'TAG', 'IMAGE ID', 'SIZE', 'SHARED SIZE', 'UNIQUE SIZE', 'CONTAINERS'],
      images.map(({ reference, id, sizeBytes, uniqueBytes, containers: users }) => [
        ...[...named(reference), shortId(id), humanSize(sizeBytes)],
        ...[humanSize(sizeBytes - uniqueBytes), humanSize(uniqueBytes), String(users)],
      ]),
    ),
    table(
      'Containers space usage',
      ['CONTAINER ID', 'IMAGE', 'SIZE', 'STATE', 'NAMES'],
      containers.map(({ id, image, sizeBytes, state, name }) => [
        ...[id.slice(0, SHORT_ID), image, humanSize(sizeBytes), state, name],
      ]),
    ),
    table(
      'Local Volumes space usage',
      ['VOLUME NAME', 'LINKS', 'SIZE'],
      volumes.map(({ name, links, sizeBytes }) => [name, String(links), humanSize(sizeBytes)]),
    ),
  ].join('\n')
}
