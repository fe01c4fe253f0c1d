/** `image ls`, `inspect` and `history`: what is known of images. */
import type { ImageDetail } from '../api/image-types.ts'
import type { CommandContext } from './command.ts'
import { formatRows } from './format-option.ts'
import { imageFilter } from './image-filters.ts'
import {
  formatHistory,
  formatImageList,
  HISTORY_TITLES,
  IMAGE_TITLES,
  toHistoryRows,
  toListRows,
} from './image-tables.ts'
import { renderListing } from './listing.ts'

export async function listImages(
  context: CommandContext,
  [name]: readonly string[],
): Promise<number> {
  const { flags, output } = context
  const client = await context.client()
  const nowMs = Date.now()
  const filters = [...flags.list('filter'), ...(name === undefined ? [] : [`reference=${name}`])]
  const matches = await imageFilter(filters, {
    nowMs,
    createdAt: async (image) => (await client.image(image)).createdAt,
  })
  const images = (await client.imageList()).filter(matches)
  const rows = toListRows(images, { nowMs, isFull: flags.bool('no-trunc') })
  output.write(
    await renderListing(context, {
      rows,
      jsonLines: true,
      titles: IMAGE_TITLES,
      quiet: [...new Set(rows.map(({ ID }) => ID))],
      setting: 'imagesFormat',
      table: (width) => formatImageList(rows, { width, digests: flags.bool('digests') }),
    }),
  )
  return 0
}

/** With Docker's names, for programs that read it. */
function inspected(image: ImageDetail): Readonly<Record<string, unknown>> {
  return {
    Id: image.id,
    RepoTags: image.tags,
    RepoDigests: image.repoDigests,
    Comment: image.comment,
    Created: image.createdAt,
    Author: image.author,
    Architecture: image.architecture,
    Os: image.os,
    Size: image.sizeBytes,
    Config: image.config,
    RootFS: { Type: 'layers', Layers: image.layers },
    Descriptor: image.manifest,
  }
}

export async function inspectImages(
  { flags, output, client }: CommandContext,
  names: readonly string[],
): Promise<number> {
  const api = await client()
  const rows = (await Promise.all(names.map((name) => api.image(name)))).map(inspected)
  const formatted = formatRows(flags.text('format') ?? '', { rows, jsonLines: true })
  output.write(formatted ?? `${JSON.stringify(rows, null, 2)}\n`)
  return 0
}

export async function imageHistory(
  context: CommandContext,
  [name = '']: readonly string[],
): Promise<number> {
  const { flags, output } = context
  const client = await context.client()
  const [{ id }, entries] = await Promise.all([client.image(name), client.imageHistory(name)])
  const isHuman = !flags.has('human') || flags.bool('human')
  const options = { id, isHuman, isFull: flags.bool('no-trunc'), nowMs: Date.now() }
  const rows = toHistoryRows(entries, options)
  output.write(
    await renderListing(context, {
      rows,
      jsonLines: true,
      titles: HISTORY_TITLES,
      quiet: rows.map(({ ID }) => ID),
      table: () => formatHistory(rows),
    }),
  )
  return 0
}
